import { describe, expect, it } from "vitest";
import { ChatTemplate } from "../tokenizer/chat-template.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Conversation } from "./conversation.js";
import { createDialog } from "./dialog.js";
import { DialogEncoder, joinTurns } from "./encode-dialog.js";
import { REWRITTEN } from "./left-out.js";
import { proveLabels } from "./prove-labels.js";

const SPECIAL = ["<eos>", "<end>"];

/** A character a token, but for the special ones. */
const tokenizer = {
  dir: "tokenizer",
  eosId: 0,
  encode: (text: string) =>
    Int32Array.from(
      (text.match(/<eos>|<end>|[^]/gu) ?? []).map((token) =>
        SPECIAL.includes(token) ? SPECIAL.indexOf(token) : token.codePointAt(0)!,
      ),
    ),
  decode: (ids: ArrayLike<number>, { skipSpecialTokens = false } = {}) =>
    Array.from(ids, (id) => SPECIAL[id] ?? String.fromCodePoint(id))
      .filter((token) => !skipSpecialTokens || !SPECIAL.includes(token))
      .join(""),
  tokenToId: (token: string) => (SPECIAL.includes(token) ? SPECIAL.indexOf(token) : undefined),
} as unknown as Tokenizer;

/** Writes the thoughts of the last answer alone, as Qwen 3's template does. */
const THINKING = `{%- for m in messages %}{%- if m.role == 'assistant' %}
{{- 'A:' }}{%- if loop.last %}{{- m.content }}{%- else %}{{- m.content.split('</think>')[-1] }}{%- endif %}{{- '<end>' }}
{%- else %}{{- 'Q:' + m.content + ';' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- 'A:' }}{%- endif %}`;

const dialog = createDialog(tokenizer, null, new ChatTemplate(THINKING, "template"));
const rowsOf = (turns: [string, string][], length = 1000) =>
  new DialogEncoder(tokenizer, dialog, length).encode({ system: "", turns });
const texts = (turns: [string, string][], length?: number) =>
  rowsOf(turns, length).map((row) => {
    const { ids, labels } = joinTurns(row, false);
    expect(proveLabels(labels, row, dialog.endId, tokenizer)).toBe(0);
    return [tokenizer.decode(ids), tokenizer.decode(labels.filter((label) => label !== -100))];
  });

describe("a template that rewrites earlier turns", () => {
  it("gives a row as long as it does not", () => {
    expect(
      texts([
        ["a", "b"],
        ["c", "d"],
      ]),
    ).toEqual([["Q:a;A:b<end>Q:c;A:d<end>", "b<end>d<end>"]]);
  });

  it("begins another row where it does, with the conversation as it is written then", () => {
    expect(
      texts([
        ["a", "<think>1</think>b"],
        ["c", "d"],
        ["e", "f"],
      ]),
    ).toEqual([
      ["Q:a;A:<think>1</think>b<end>", "<think>1</think>b<end>"],
      ["Q:a;A:b<end>Q:c;A:d<end>Q:e;A:f<end>", "d<end>f<end>"],
    ]);
  });

  it("keeps to the length with what goes before", () => {
    const turns: [string, string][] = [
      ["a", "1</think>b"],
      ["cccccccccc", "d"],
    ];
    const first = ["Q:a;A:1</think>b<end>", "1</think>b<end>"];
    expect(texts(turns, 25)).toEqual([first, ["Q:a;A:b<end>Q:cccccccccc;A:d<end>", "d<end>"]]);
    expect(texts(turns, 24)).toEqual([first, ["Q:cccccccccc;A:d<end>", "d<end>"]]);
  });
});

describe("what a model meets otherwise in use", () => {
  const counts = (source: string, turns: [string, string][]): string[] => {
    const said: string[] = [];
    const other = createDialog(tokenizer, null, new ChatTemplate(source, "template"));
    new DialogEncoder(tokenizer, other, 1000).encode({ system: "", turns }, (what) => said.push(what));
    return said;
  };
  const turns: [string, string][] = [
    ["a", "b"],
    ["c", "d"],
  ];
  const template = (answer: string, prompt: string) =>
    `{% for m in messages %}{{ ${answer} if m.role == 'assistant' else 'Q:' + m.content + ';' }}{% endfor %}{% if add_generation_prompt %}{{ '${prompt}' }}{% endif %}`;

  it("is nothing where the template goes on from the prompt", () => {
    expect(counts(template("'A:' + m.content + '<end>'", "A:"), turns)).toEqual([]);
  });

  it("is an answer with spaces around it that the prompt has not", () => {
    expect(counts(template("'A: ' + m.content + ' <end>'", "A:"), turns)).toEqual([
      "turn whose earlier answers stand in a prompt as other tokens",
    ]);
  });

  it("is a prompt that no answer of the template follows", () => {
    expect(counts(template("'A:' + m.content + '<end>'", "A:<think>"), turns)).toEqual([
      REWRITTEN,
      "prompt that the template itself does not write before an answer",
    ]);
  });
});

describe("a conversation of hundreds of turns", () => {
  /** How many turns were rendered to encode a conversation of so many, each some 7 tokens, in rows of 100. */
  function rendered(count: number): number {
    let turns = 0;
    const counting = {
      ...dialog,
      *render(conversation: Conversation) {
        for (const turn of dialog.render(conversation)) {
          turns++;
          yield turn;
        }
      },
    };
    const said = Array.from({ length: count }, (): [string, string] => ["a", "b"]);
    const rows = new DialogEncoder(tokenizer, counting, 100).encode({ system: "", turns: said });
    expect(rows.flat().filter(({ learnt }) => learnt)).toHaveLength(count);
    return turns;
  }

  it("costs as much more as it is longer, but for the logarithm of its length", () => {
    expect(rendered(120) / rendered(60)).toBeLessThan(3); // by the square of the length, it would be 4
  });
});

describe("the token that ends an answer", () => {
  it("is the special one that the template writes, else the end of text", () => {
    expect(dialog.endId).toBe(1);
    const plain = new ChatTemplate("{% for m in messages %}{{ m.content }}|{% endfor %}", "template");
    expect(createDialog(tokenizer, null, plain).endId).toBe(0);
    const named = { ...tokenizer, eosId: undefined } as unknown as Tokenizer;
    expect(() => createDialog(named, null, plain)).toThrow("the tokenizer names none");
    expect(() => createDialog(tokenizer, null, undefined)).toThrow("no chat template; give --template_name");
  });
});

describe("proveLabels", () => {
  it("finds labels that are not the answers", () => {
    const [row] = rowsOf([
      ["ask", "answer"],
      ["more", "yes"],
    ]);
    const { ids, labels } = joinTurns(row!, false);
    const moved = labels.map((_, at) => (at > 0 && labels[at - 1] !== -100 ? ids[at]! : -100));
    const cut = labels.map((label, at) => (labels[at + 1] === -100 ? -100 : label));
    const without = labels.map((label, at) => (at > 15 ? -100 : label));
    const all = ids;
    for (const wrong of [moved, cut, without, all])
      expect(() => proveLabels(wrong, row!, dialog.endId, tokenizer)).toThrow("are not its answers");
  });
});
