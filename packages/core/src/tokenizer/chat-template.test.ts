/** Chat templates against transformers and MedicalGPT (reference results D). */
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { goldenCases, goldenDir, readCase } from "../testing/goldens.js";
import { ChatTemplate, loadChatTemplate, renderDialog, type ChatMessage } from "./chat-template.js";
import { loadTokenizer } from "./load-tokenizer.js";
import { PROMPT_TEMPLATES, type TemplateName } from "./prompt-templates.js";

let compared = 0;

interface Templates {
  readonly names: readonly TemplateName[];
  readonly system_prompt: string;
  readonly turns: readonly [string, string][];
  readonly templates: Readonly<Record<string, Record<string, unknown>>>;
}

interface JinjaCases {
  readonly messages: readonly ChatMessage[];
  readonly cases: readonly { name: string; template: string; context: object; expected?: string; error?: string }[];
}

interface ChatCases {
  readonly results: readonly {
    model: string;
    conversation: readonly ChatMessage[];
    add_generation_prompt: boolean;
    kwargs: Record<string, unknown>;
    text?: string;
    input_ids?: number[];
    error?: string;
  }[];
}

/** The cases of D with these keys. */
const read = <T>(...keys: string[]): T[] =>
  goldenCases("D_sft", ...keys).map((name) => readCase<T>(goldenDir("D_sft", name)));

describe.each(read<Templates>("templates", "turns"))("prompt formats", ({ names, turns, templates, ...given }) => {
  const system = given.system_prompt;

  it("are those that MedicalGPT registers", () => {
    expect(Object.keys(PROMPT_TEMPLATES)).toEqual(names);
  });

  it.each(names)("renders %s", (name) => {
    const expected = templates[name]!;
    const template = PROMPT_TEMPLATES[name];
    expect(renderDialog(template, turns, system)).toEqual(expected["dialog_with_system"]);
    expect(renderDialog(template, turns, system).join("")).toBe(expected["rendered_with_system"]);
    expect(renderDialog(template, turns).join("")).toBe(expected["rendered_default_system"]);
    expect(renderDialog(template, turns).slice(0, -1).join("")).toBe(expected["generation_prompt"]);
    expect(template.stop).toBe(expected["stop_str"]);
    compared++;
  });
});

describe.each(read<JinjaCases>("messages", "cases"))("Jinja", ({ messages, cases }) => {
  it.each(cases)("renders as Jinja2: $name", ({ template, context, expected, error }) => {
    const render = () => new ChatTemplate(template, "here").render(messages, { variables: { ...context } });
    if (error === undefined) expect(render()).toBe(expected);
    else expect(render).toThrow();
    compared++;
  });
});

describe.each(read<ChatCases>("results.0.conversation"))("tokenizers' own templates", ({ results }) => {
  it.each(results.map((result, index) => ({ index, ...result })))(
    "renders conversation $index of $model",
    async ({
      model,
      conversation,
      add_generation_prompt: addGenerationPrompt,
      kwargs,
      text,
      input_ids: ids,
      error,
    }) => {
      const dir = join(goldenDir("A_models"), model);
      const template = (await loadChatTemplate(dir)) as ChatTemplate;
      const { tools, ...variables } = kwargs as { tools?: unknown[] };
      const render = () => template.render(conversation, { addGenerationPrompt, tools, variables });
      if (error !== undefined) expect(render).toThrow();
      else {
        expect(render()).toBe(text);
        const tokenizer = await loadTokenizer(dir);
        expect([...tokenizer.encode(render(), { addSpecialTokens: false })]).toEqual(ids);
      }
      compared++;
    },
  );
});

describe("a message's reasoning", () => {
  const template = new ChatTemplate(
    "{% for m in messages %}{{ m.reasoning_content }}|{{ m.thinking }}|{{ m.reasoning }};{% endfor %}",
    "here",
  );
  // As transformers' render_jinja_template gives it.
  it.each([
    [{ reasoning_content: "a" }, "a|a|;"],
    [{ thinking: "a" }, "a|a|;"],
    [{ reasoning: "a", thinking: null }, "a|None|a;"],
    [{ reasoning_content: "a", thinking: "b" }, "a|b|;"],
    [{ reasoning_content: null, thinking: "b" }, "b|b|;"],
    [{}, "||;"],
  ])("of %j has the names that templates read", (fields, text) => {
    expect(template.render([{ role: "assistant", content: "x", ...fields }])).toBe(text);
  });
});

afterAll(() => console.log(`compared ${compared} chat templates by value`));

describe("a template's file", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "medgpt-template-"));
    await writeFile(join(dir, "tokenizer_config.json"), "{}");
  });
  afterEach(() => rm(dir, { recursive: true }));

  const large = "a".repeat(2 ** 20 + 1);
  const size = "expected a chat template of at most 1048576 bytes, but it has 1048577";

  it("may be as large as templates are and not larger", async () => {
    const path = join(dir, "chat_template.jinja");
    await writeFile(path, large.slice(1));
    expect((await loadChatTemplate(dir))?.source).toHaveLength(2 ** 20);
    await writeFile(path, large);
    await expect(loadChatTemplate(dir)).rejects.toThrow(`${path}: ${size}`);
  });

  it.each([
    ["one template", large],
    ["templates with names", [{ name: "default", template: large }]],
  ])("is not taken from a configuration with %s where it is larger", async (_, template) => {
    const path = join(dir, "tokenizer_config.json");
    await writeFile(path, JSON.stringify({ chat_template: template }));
    await expect(loadChatTemplate(dir)).rejects.toThrow(`${path}: ${size}`);
  });

  it("is refused where it is no file", async () => {
    const path = join(dir, "chat_template.jinja");
    await symlink("/dev/zero", path);
    await expect(loadChatTemplate(dir)).rejects.toThrow(`${path}: expected a file, but this is a pipe or device`);
    await rm(path);
    await mkdir(path);
    await expect(loadChatTemplate(dir)).rejects.toThrow(`${path}: expected a file, but this is a folder`);
  });
});

describe("a template without an end", () => {
  it("is refused with the number of steps that it may take", () => {
    const template = new ChatTemplate("{{ [0] * 60000000 }}", "t.jinja");
    expect(() => template.render([{ role: "user", content: "q" }])).toThrow(
      "t.jinja: expected a chat template that comes to its end, but it takes more than 25000000 steps for one turn; render fewer turns, or write conversations in another format with --template_name",
    );
  });
});

describe("a refusal", () => {
  const system = { role: "system", content: "s" };
  const asked = { role: "user", content: "q" };
  const refusing = (when: string): ChatTemplate =>
    new ChatTemplate(`{% if ${when} %}{{ raise_exception('Not this!') }}{% endif %}ok`, "t.jinja");

  it("says that a system prompt can go into the first question, where that is what is refused", () => {
    const template = refusing("messages[0]['role'] == 'system'");
    expect(() => template.render([system, asked])).toThrow(
      "t.jinja: the chat template refuses the conversation: Not this; put the system prompt at the beginning of the first question instead, or write conversations in another format with --template_name",
    );
    expect(template.render([asked])).toBe("ok");
  });

  it.each([
    ["other turns", "messages[-1]['role'] == 'user'", [system, asked]],
    ["turns without a system prompt", "true", [asked]],
  ])("names another format where %s are refused", (_, when, messages) => {
    expect(() => refusing(when).render(messages)).toThrow(
      "Not this; change its turns accordingly, or write conversations in another format with --template_name",
    );
  });
});
