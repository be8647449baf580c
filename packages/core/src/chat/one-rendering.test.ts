/** What a model is trained on up to an answer is what it is given in use: over templates, formats and tokenizers. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { goldenCases, goldenDir, hasGoldens, readCase, sharedDir } from "../testing/goldens.js";
import { ChatTemplate, loadChatTemplate, type ChatMessage } from "../tokenizer/chat-template.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import { PROMPT_TEMPLATES, type TemplateName } from "../tokenizer/prompt-templates.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { encodePrompt, jinjaTemplate, type ChatForm } from "./chat-form.js";
import { readConversation, type Conversation } from "./conversation.js";
import { createDialog, type Dialog } from "./dialog.js";
import { DialogEncoder, joinTurns, type EncodedTurn } from "./encode-dialog.js";
import { proveLabels } from "./prove-labels.js";

const sample = fileURLToPath(new URL("../../../../datasets/sample/tokenizer", import.meta.url));
const models = hasGoldens
  ? readdirSync(goldenDir("A_models"))
      .map((name) => goldenDir("A_models", name))
      .concat(join(sharedDir, "models/smollm2"))
  : [];
const folders = [sample, ...models].filter((dir) => existsSync(join(dir, "tokenizer.json")));

/** Templates with what makes a rendering hard. */
const HARD: Readonly<Record<string, string>> = {
  "llama 3":
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
  chatml:
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  "thoughts of the last answer alone":
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|im_start|>assistant\n' + (m.content if loop.last else m.content.split('</think>')[-1]) + eos_token + '\n' }}{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + eos_token + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  "an empty thought for an answer":
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + ('<think>\n\n</think>\n\n' if m.role == 'assistant' and loop.last else '') + m.content + eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  "a thought that the prompt begins":
    "{{ bos_token }}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}",
  "no end token":
    "{% for m in messages %}{{ '### ' + m.role + ':\n' + m.content + '\n\n' }}{% endfor %}{% if add_generation_prompt %}{{ '### assistant:\n' }}{% endif %}",
  "an answer at once": "{% for m in messages %}{{ m.content + eos_token }}{% endfor %}",
};

const say = (role: string, content: string) => ({ role, content });
const q = (content: string) => say("user", content);
const a = (content: string) => say("assistant", content);
const TOOLS = [{ type: "function", function: { name: "pulse", description: "脉搏", parameters: { properties: {} } } }];
const ROWS: readonly Record<string, unknown>[] = [
  { messages: [q("咳嗽三天"), a("建议就诊。")] },
  { messages: [q("Fever?"), a("Rest."), q(" Serious? "), a("No.")] },
  {
    messages: [
      say("system", "你是医生。"),
      q("Hi\n"),
      a("\n\n您好 "),
      q("头疼"),
      a(" 12 hours"),
      q("3 days"),
      a("Go."),
    ],
  },
  { messages: [q("x"), a("<think>why\n</think>\n\nyes"), q("y"), a("```\n  code\n```\n"), q("z"), a("no")] },
  { messages: [q("How fast?"), a("1"), q("and now"), a("2")], tools: TOOLS },
  { messages: [q("e"), a("\u0301 mark"), q("e"), a("don't")] },
];

const ANSWERS = ROWS.reduce(
  (sum, { messages }) => sum + (messages as ChatMessage[]).filter(({ role }) => role === "assistant").length,
  0,
);

interface Outcome {
  readonly equal: number;
  /** Answers after turns that are said to be written otherwise in use. */
  readonly said: number;
}

/** Compares the ids up to every answer of every row with those of its prompt. */
function compare(tokenizer: Tokenizer, dialog: Dialog, rows: readonly Record<string, unknown>[]): Outcome {
  let [equal, said] = [0, 0];
  for (const row of rows) {
    const conversation = readConversation(row, { place: "row", toolFormat: "tools" in row ? "default" : null });
    let learnt = 0;
    for (const turns of new DialogEncoder(tokenizer, dialog, 1 << 20).encode(conversation)) {
      const { ids, labels } = joinTurns(turns, false);
      proveLabels(labels, turns, dialog.endId, tokenizer);
      let at = 0;
      let unlike = false;
      for (const turn of turns) {
        at += turn.source.length;
        unlike ||= turn.unlike?.some((what) => what.startsWith("turn whose earlier answers")) === true;
        if (turn.learnt) {
          const prompt = [...encodePrompt(tokenizer, dialog, messagesBefore(conversation, learnt++))];
          if (unlike && learnt > 1) said++;
          else {
            expect([...ids.subarray(0, at)], JSON.stringify(conversation)).toEqual(prompt);
            equal++;
          }
        }
        at += turn.answer.length;
      }
    }
    expect(learnt).toBe(conversation.turns.length);
  }
  return { equal, said };
}

function messagesBefore({ system, turns }: Conversation, answer: number): ChatMessage[] {
  const messages = turns.slice(0, answer + 1).flatMap(([question, text]) => [q(question), a(text)]);
  return [...(system === "" ? [] : [say("system", system)]), ...messages.slice(0, -1)];
}

function tokensOf(tokenizer: Tokenizer): Record<string, string> {
  const { bosId, eosId } = tokenizer;
  const text = (id: number | undefined): string => (id === undefined ? "" : (tokenizer.idToToken(id) ?? ""));
  return { bos_token: text(bosId), eos_token: text(eosId) };
}

const add = (sum: Outcome, more: Outcome): Outcome => ({ equal: sum.equal + more.equal, said: sum.said + more.said });
const NOTHING: Outcome = { equal: 0, said: 0 };
const refuses = (run: () => Outcome): Outcome => {
  try {
    return run();
  } catch (error) {
    if ((error as Error).message.includes("refuses the conversation")) return NOTHING; // one without system turns
    throw error;
  }
};

describe.each(folders.map((dir) => [dir.split("/").slice(-1)[0]!, dir]))("with the tokenizer %s", (_, dir) => {
  it(
    "what is trained on up to an answer is what a prompt is read as, by every chat template",
    { timeout: 120_000 },
    async () => {
      const tokenizer = await loadTokenizer(dir);
      const own = await loadChatTemplate(dir);
      const others = await Promise.all(folders.map((folder) => loadChatTemplate(folder)));
      const sources = new Set([
        ...Object.values(HARD),
        ...others.flatMap((template) => (template === undefined ? [] : [template.source])),
        ...(own === undefined ? [] : [own.source]),
      ]);
      let sum = NOTHING;
      for (const source of sources) {
        const dialog = createDialog(tokenizer, null, new ChatTemplate(source, "template", tokensOf(tokenizer)));
        for (const row of ROWS)
          sum = add(
            sum,
            refuses(() => compare(tokenizer, dialog, [row])),
          );
      }
      console.log(`${dir}: ${sum.equal} prompts equal, ${sum.said} said to be otherwise`);
      expect(sum.equal).toBeGreaterThan(10 * sources.size);
    },
  );

  it("the same by every prompt format with a name", { timeout: 120_000 }, async () => {
    const tokenizer = await loadTokenizer(dir);
    let sum = NOTHING;
    for (const name of Object.keys(PROMPT_TEMPLATES) as TemplateName[])
      sum = add(sum, compare(tokenizer, createDialog(tokenizer, name, undefined), ROWS));
    console.log(`${dir}: ${sum.equal} prompts equal, ${sum.said} said to be otherwise`);
    expect(sum.equal + sum.said).toBe(Object.keys(PROMPT_TEMPLATES).length * ANSWERS);
  });
});

describe("a prompt format as a chat template", () => {
  const talks = [1, 3].flatMap((length) =>
    [[], [say("system", "你是一位'医生'。\n\\")], [say("system", "")]].map((system) => [
      ...system,
      ...[q("咳嗽{query}?"), a("建议就诊。"), q("And $& now?")].slice(0, length),
    ]),
  );

  it.each(folders.map((dir) => [dir.split("/").slice(-1)[0]!, dir]))("is read alike, with %s", async (_, dir) => {
    const tokenizer = await loadTokenizer(dir);
    const same = (form: ChatForm, other: ChatForm, messages: readonly ChatMessage[]): void => {
      expect(other.prompt(messages)).toBe(form.prompt(messages));
      expect(encodePrompt(tokenizer, other, messages)).toEqual(encodePrompt(tokenizer, form, messages));
    };
    for (const name of Object.keys(PROMPT_TEMPLATES) as TemplateName[]) {
      const named = createDialog(tokenizer, name, undefined);
      const template = new ChatTemplate(jinjaTemplate(tokenizer, name), "chat_template.jinja", tokensOf(tokenizer));
      const written = createDialog(tokenizer, null, template);
      expect([written.ending, written.endId]).toEqual([named.ending, named.endId]);
      for (const messages of talks) same(named, written, messages);
      const ended = [q("a"), a(`b${named.ending}`), q("c")];
      same(named, written, ended);
      for (const odd of [[q("a"), q("b")], [a("a")], [q("a"), a("b"), a("c")], [q("a"), say("tool", "b")]])
        for (const form of [named, written]) expect(() => form.prompt(odd)).toThrow(/user and assistant turns in turn/);
    }
  });

  it("begins a text as the tokenizer does, once", async () => {
    for (const dir of folders) {
      const tokenizer = await loadTokenizer(dir);
      const [plain, full] = [tokenizer.encode("a", { addSpecialTokens: false }), tokenizer.encode("a")];
      const added = [...full.subarray(0, full.length - plain.length)];
      for (const name of Object.keys(PROMPT_TEMPLATES) as TemplateName[]) {
        const form = createDialog(tokenizer, name, undefined);
        const ids = [...encodePrompt(tokenizer, form, [q("Hi")])];
        expect(ids.slice(0, added.length)).toEqual(added);
        if (added.length > 0) expect(ids[added.length]).not.toBe(added[0]);
      }
    }
  });

  it("loses the question where the format does", async () => {
    const form = createDialog(await loadTokenizer(sample), "deepseekcoder", undefined);
    expect(form.prompt([q("Hi")])).toMatch(/### Instruction:\n\{content\}\n### Response:\n$/);
  });
});

describe.skipIf(goldenCases("D_sft", "results.0.conversation").length === 0)("transformers' own ids", () => {
  interface ChatCases {
    readonly results: readonly {
      model: string;
      conversation: readonly ChatMessage[];
      add_generation_prompt: boolean;
      kwargs: Record<string, unknown>;
      input_ids?: number[];
    }[];
  }
  it("are those of prompts, and begin with those that answers are learnt after", async () => {
    const folders = goldenCases("D_sft", "results.0.conversation");
    const results = folders.flatMap((folder) => readCase<ChatCases>(goldenDir("D_sft", folder)).results);
    let compared = 0;
    for (const { model, conversation, add_generation_prompt, kwargs, input_ids } of results) {
      if (Object.keys(kwargs).length > 0 || input_ids === undefined) continue;
      const dir = goldenDir("A_models", model);
      const [tokenizer, template] = [await loadTokenizer(dir), await loadChatTemplate(dir)];
      const dialog = createDialog(tokenizer, null, template);
      if (add_generation_prompt) expect([...encodePrompt(tokenizer, dialog, conversation)]).toEqual(input_ids);
      else if (conversation[0]!.role !== "assistant") {
        const talk = readConversation({ messages: conversation }, { place: "", toolFormat: null });
        const [turns] = new DialogEncoder(tokenizer, dialog, 4096).encode(talk) as [EncodedTurn[]];
        const { ids } = joinTurns(turns, false);
        const unlike = turns.findIndex(({ unlike = [] }) => unlike.length > 0);
        const sure = unlike === -1 ? turns : turns.slice(0, unlike);
        const length = joinTurns(sure, false).ids.length - sure.at(-1)!.answer.length;
        expect([...ids.subarray(0, length)]).toEqual(input_ids.slice(0, length));
      } else continue;
      compared++;
    }
    console.log(`${compared} texts compared with transformers`);
    expect(compared).toBeGreaterThan(results.length / 2);
  });
});
