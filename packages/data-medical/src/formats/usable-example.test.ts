import { describe, expect, it } from "vitest";

import { detectFormat } from "./detect-format.js";
import { usableExample } from "./usable-example.js";

type Row = Record<string, unknown>;

const read = (row: Row) => usableExample(detectFormat(row).format.read(row));
const message = (role: string, content: string): Row => ({ role, content });
const asked = message("user", "Q");
const answered = (content: string): Row => message("assistant", content);

/** A row of every format that holds an answer. */
const chats: [format: string, row: (answer: string) => Row][] = [
  [
    "sharegpt",
    (value) => ({
      conversations: [
        { from: "human", value: "Q" },
        { from: "gpt", value },
      ],
    }),
  ],
  ["messages", (answer) => ({ messages: [asked, answered(answer)] })],
  ["messages of parts", (text) => ({ messages: [asked, { role: "assistant", content: [{ type: "text", text }] }] })],
  ["alpaca", (output) => ({ instruction: "Q", input: "", output })],
  ["alpaca's history", (answer) => ({ instruction: "Q", output: "A", history: [["Q", answer]] })],
  ["qa", (answer) => ({ question: "Q", answer })],
  ["prompt-completion", (completion) => ({ prompt: "Q", completion })],
  ["belle", (target) => ({ input: "Human: Q\nAssistant:", target })],
  ["huatuo", (answer) => ({ data: ["问：Q", `答：${answer}`] })],
  ["prompt", (answer) => ({ prompt: [asked], answer })],
];

/** A row of every format that holds a pair of answers. */
const pairs: [format: string, row: (chosen: string, rejected: string) => Row][] = [
  ["preference", (chosen, rejected) => ({ conversations: [{ from: "human", value: "Q" }], chosen, rejected })],
  ["preference-qa", (chosen, rejected) => ({ question: "Q", response_chosen: chosen, response_rejected: rejected })],
  ["preference-trl", (chosen, rejected) => ({ prompt: "Q", chosen, rejected })],
  ["turns", (chosen, rejected) => ({ prompt: "Q", chosen: [answered(chosen)], rejected: [answered(rejected)] })],
  [
    "conversations",
    (chosen, rejected) => ({ chosen: [asked, answered(chosen)], rejected: [asked, answered(rejected)] }),
  ],
  ["transcripts", (chosen, rejected) => ({ chosen: hh(chosen), rejected: hh(rejected) })],
];
const hh = (answer: string): string => `\n\nHuman: Cold?\n\nAssistant: ${answer}`;

describe("an answer without text", () => {
  it.each(chats)("is refused in a chat: %s", (_, row) => {
    expect(() => read(row("A"))).not.toThrow();
    for (const text of ["", " \n\t", "\u3000", "\u200b\ufeff", "\u2800"])
      expect(() => read(row(text))).toThrow(/^(answer 1 has|the answer has) no text$/);
  });

  it.each(pairs)("is refused in a pair: %s", (_, row) => {
    for (const text of ["", "\u3000", "\u200b"]) {
      expect(() => read(row(text, "B"))).toThrow(/^the chosen answer has no text$/);
      expect(() => read(row("A", text))).toThrow(/^the rejected answer has no text$/);
    }
  });

  it("is none where a tool is called", () => {
    const call = { name: "f", arguments: {} };
    const said = [{ from: "human", value: "Q" }, { from: "gpt", value: "" }, { from: "function_call", value: JSON.stringify(call) }]; // prettier-ignore
    expect(read({ conversations: said })).toMatchObject({ turns: [{}, {}, { role: "tool_call" }] });
    const called = { role: "assistant", content: null, tool_calls: [{ function: call }] };
    expect(read({ messages: [asked, called] })).toMatchObject({ turns: [{}, { role: "tool_call" }] });
  });
});

describe("a question without text", () => {
  it.each<Row>([
    { messages: [message("user", " "), answered("A")] },
    { instruction: " ", input: "\u3000", output: "A" },
    { question: "", answer: "A" },
    { data: ["问：", "答：A"] },
    { prompt: "\u200b" },
    { prompt: "", chosen: "A", rejected: "B" },
  ])("is refused: %j", (row) => {
    expect(() => read(row)).toThrow("question 1 has no text");
  });

  it("is none where the input asks", () => {
    expect(() => read({ instruction: "", input: "Q", output: "A" })).not.toThrow();
  });
});

it("leaves a blank text, which is a document", () => {
  expect(read({ text: "  " })).toMatchObject({ text: "  " });
});

describe("two answers that are the same", () => {
  it.each(pairs)("are refused with that reason: %s", (_, row) => {
    expect(() => read(row("A", "B"))).not.toThrow();
    expect(() => read(row("A\nB", "A\nB"))).toThrow(/^the chosen and the rejected answer are the same/);
    expect(() => read(row("A\r\nB", "A\nB \n"))).toThrow(/are the same/);
  });

  it("are known where they call tools", () => {
    const turns = (spelt: string): Row[] => [asked, { from: "function_call", value: spelt }];
    const row = (a: string, b: string): Row => ({ chosen: turns(a), rejected: turns(b) });
    expect(() => read(row('{"name":"f","arguments":{}}', '{"name": "f", "arguments": {}}'))).toThrow(/are the same/);
    expect(() => read(row('{"name":"f","arguments":{}}', '{"name":"g","arguments":{}}'))).not.toThrow();
  });
});

it("leaves out the nulls that a table filled into a call", () => {
  const call = { function: { name: "pulse", arguments: { seconds: 30, floor: null } } };
  const tools = [{ name: "pulse", parameters: { properties: { seconds: {} } } }];
  expect(read({ messages: [asked, { role: "assistant", tool_calls: [call] }], tools })).toMatchObject({
    turns: [{}, { content: '{"name":"pulse","arguments":{"seconds": 30}}' }],
  });
});
