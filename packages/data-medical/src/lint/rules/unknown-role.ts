import { ROLES } from "@medgpt/core/chat";
import type { LintRow, Problem, Rule } from "../rule.js";

export const unknownRole: Rule = {
  name: "unknown-role",
  finds: "Roles that are none of the known ones.",
  fixes: "spells known ones as the format does (`Human`, `助手`)",
  start: () => checkRoles,
};

/** What else the two sides are called, beside the names that are read as they are. */
const ALIASES: ReadonlyMap<string, "user" | "assistant"> = new Map([
  ["用户", "user"],
  ["患者", "user"],
  ["病人", "user"],
  ["patient", "user"],
  ["customer", "user"],
  ["助手", "assistant"],
  ["医生", "assistant"],
  ["doctor", "assistant"],
  ["ai", "assistant"],
]);

const SPELLINGS = {
  sharegpt: { system: "system", user: "human", assistant: "gpt", tool_call: "function_call", tool: "observation" },
  openai: { system: "system", user: "user", assistant: "assistant", tool_call: "assistant", tool: "tool" },
} as const;

function* checkRoles({ lists }: LintRow): Generator<Problem> {
  for (const { style, turns } of lists) {
    for (const { role, rolePath } of turns) {
      if (typeof role !== "string" || role.trim() === "" || ROLES.has(role)) continue;
      const name = role.trim().toLowerCase();
      const known = ROLES.get(name) ?? ALIASES.get(name);
      const message = `the role ${JSON.stringify(role)} is not known`;
      if (known === undefined) {
        yield { path: rolePath, message, advice: `name it ${Object.values(SPELLINGS[style]).join(", ")}` };
      } else {
        const replace = SPELLINGS[style][known];
        yield { path: rolePath, message, advice: `name it ${replace}`, repair: { replace } };
      }
    }
  }
}
