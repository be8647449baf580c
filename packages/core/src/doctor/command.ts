import { z } from "zod";

import { commandFlags, flag, topic } from "../config/schema.js";
import type { Command } from "../config/run-command.js";
import { checkMachine, type Check } from "./checks.js";
import { machineFacts, type MachineFacts } from "./facts.js";
import { measureProducts, type Measurement } from "./measure.js";

export const doctorSchema = z.strictObject({
  ...topic("Doctor", {
    measure: flag(z.boolean(), {
      default: false,
      help: "Measure the speed of matrix products too, which takes three seconds.",
    }),
  }),
  ...commandFlags,
});

/** `medgpt doctor`: says what this machine offers and what to do about what is missing. Exit code 1 where something is. */
export const command: Command<typeof doctorSchema> = {
  name: "doctor",
  summary: "Say what this machine offers, and what to do about what is missing.",
  config: doctorSchema,
  run: async ({ measure }, { log }) => {
    const facts = await machineFacts();
    const measured = measure && facts.nativeProblem === undefined ? await measureProducts(facts.threads) : [];
    const answer = examine(facts, measured);
    log({ type: "answer", ...answer });
    return answer.value.ok;
  },
};

export interface Answer {
  /** For people. */
  readonly lines: readonly string[];
  /** For programs. `ok`: nothing is missing. */
  readonly value: {
    readonly ok: boolean;
    readonly checks: readonly Check[];
    readonly facts: MachineFacts;
    readonly measured: readonly Measurement[];
  };
}

/** What to say about a machine. */
export function examine(facts: MachineFacts, measured: readonly Measurement[] = []): Answer {
  const checks = checkMachine(facts);
  const width = Math.max(...checks.map(({ name }) => name.length));
  const line = (state: string, name: string, text: string): string =>
    `${state.padEnd(7)}  ${name.padEnd(width)}  ${text}`;
  const lines = checks.flatMap(({ state, name, text, advice }) => [
    line(state, name, text),
    ...(advice === undefined ? [] : [line("", "", `-> ${advice}`)]),
  ]);
  const speeds = measured.map(({ dtype, product, peak }) => {
    const share = Math.round((100 * product) / peak);
    return `${dtype} ${product.toFixed(0)} GFLOP/s (${share} % of the peak)`;
  });
  if (speeds.length > 0) lines.push(line("", "products", speeds.join(", ")));
  return { lines, value: { ok: checks.every(({ state }) => state !== "missing"), checks, facts, measured } };
}
