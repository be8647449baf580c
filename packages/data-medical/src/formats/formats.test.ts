import { describe, expect, it } from "vitest";

import { describe as describeFormat, detectFormat } from "./detect-format.js";
import type { Example, Turn } from "./example.js";
import { FORMATS } from "./formats.js";

type Row = Record<string, unknown>;

/** Turns from their first letters: s(ystem), u(ser), a(ssistant), c(all), t(ool). */
const ROLES = { s: "system", u: "user", a: "assistant", c: "tool_call", t: "tool" } as const;
const turns = (...said: string[]): Turn[] =>
  said.map((text) => ({ role: ROLES[text[0] as keyof typeof ROLES], content: text.slice(2) }));

const call = '{"name":"f","arguments":{"x":1}}';
const openaiCall = { id: "1", type: "function", function: { name: "f", arguments: '{"x":1}' } };
const message = (role: string, content: string): Row => ({ role, content });
const said = (from: string, value: string): Row => ({ from, value });

const chats: [name: string, format: string, row: Row, turns: Turn[]][] = [
  ["human and gpt", "sharegpt", { conversations: [said("human", "Q"), said("gpt", "A")] }, turns("u:Q", "a:A")],
  [
    "the names that other exports give the assistant",
    "sharegpt",
    { conversations: ["chatgpt", "bing", "bard", "assistant"].flatMap((name) => [said("user", "Q"), said(name, "A")]) },
    turns("u:Q", "a:A", "u:Q", "a:A", "u:Q", "a:A", "u:Q", "a:A"),
  ],
  [
    "a call and its result",
    "sharegpt",
    { conversations: [said("human", "Q"), said("function_call", call), said("observation", "3"), said("gpt", "A")] },
    turns("u:Q", `c:${call}`, "t:3", "a:A"),
  ],
  [
    "a system turn",
    "sharegpt",
    { conversations: [said("system", "S"), said("human", "Q"), said("gpt", "A")] },
    turns("s:S", "u:Q", "a:A"),
  ],
  [
    "MedicalGPT's column system_prompt",
    "sharegpt",
    { system_prompt: "S", conversations: [said("human", "Q"), said("gpt", "A")] },
    turns("s:S", "u:Q", "a:A"),
  ],
  [
    "LLaMA-Factory's column system, empty where there is none",
    "sharegpt",
    { system: "", conversations: [said("human", "Q"), said("gpt", "A")] },
    turns("u:Q", "a:A"),
  ],
  [
    "OpenAI's roles",
    "messages",
    { messages: [message("developer", "S"), message("user", "Q"), message("assistant", "A")] },
    turns("s:S", "u:Q", "a:A"),
  ],
  [
    "OpenAI's text parts",
    "messages",
    {
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "Q" },
            { type: "text", text: "!" },
          ],
        },
      ],
    },
    turns("u:Q!"),
  ],
  [
    "OpenAI's tool calls, with what was said beside them",
    "messages",
    {
      messages: [
        message("user", "Q"),
        { role: "assistant", content: "Wait.", tool_calls: [openaiCall] },
        { role: "tool", content: "3", tool_call_id: "1", name: "f" },
        message("assistant", "A"),
      ],
    },
    turns("u:Q", "a:Wait.", `c:${call}`, "t:3", "a:A"),
  ],
  [
    "Hugging Face's tool calls, whose arguments are objects",
    "messages",
    {
      messages: [
        message("user", "Q"),
        { role: "assistant", tool_calls: [{ type: "function", function: { name: "f", arguments: { x: 1 } } }] },
        { role: "tool", name: "f", content: "3" },
      ],
    },
    turns("u:Q", `c:${call}`, "t:3"),
  ],
  [
    "columns of a parquet file, null where there is nothing",
    "messages",
    { messages: [{ ...message("user", "Q"), tool_calls: null, name: null }], tools: null, chosen: null },
    turns("u:Q"),
  ],
  ["an instruction alone", "alpaca", { instruction: "Q", input: "", output: "A" }, turns("u:Q", "a:A")],
  ["an instruction with its input", "alpaca", { instruction: "Q", input: "I", output: "A" }, turns("u:Q\nI", "a:A")],
  [
    "history and system prompt",
    "alpaca",
    { instruction: "Q", input: null, output: "A", history: [["Q0", "A0"]], system: "S" },
    turns("s:S", "u:Q0", "a:A0", "u:Q", "a:A"),
  ],
  ["question and answer", "qa", { question: "Q", answer: "A" }, turns("u:Q", "a:A")],
  ["query and response", "qa", { query: "Q", response: "A", history: [] }, turns("u:Q", "a:A")],
  ["prompt and completion", "prompt-completion", { prompt: "Q", completion: "A" }, turns("u:Q", "a:A")],
  [
    "TRL's messages of prompt and completion",
    "prompt-completion",
    { prompt: [message("system", "S"), message("user", "Q")], completion: [message("assistant", "A")] },
    turns("s:S", "u:Q", "a:A"),
  ],
  ["Belle's first sets", "belle", { input: "Q", target: "A" }, turns("u:Q", "a:A")],
  [
    "Belle's transcripts",
    "belle",
    { instruction: "Human: Q0\nAssistant: A0\nwith a line\nHuman:Q\nAssistant:", input: "", output: "A" },
    turns("u:Q0", "a:A0\nwith a line", "u:Q", "a:A"),
  ],
  ["Huatuo's texts", "huatuo", { data: ["问：Q", "答：A", "问:Q2", "答： A2"] }, turns("u:Q", "a:A", "u:Q2", "a:A2")],
];

const preferences: [name: string, format: string, row: Row, prompt: Turn[]][] = [
  [
    "MedicalGPT's",
    "preference",
    { conversations: [said("system", "S"), said("human", "Q")], chosen: "A", rejected: "B" },
    turns("s:S", "u:Q"),
  ],
  [
    "LLaMA-Factory's, whose answers are turns",
    "preference",
    { conversations: [said("human", "Q")], chosen: said("gpt", "A"), rejected: said("gpt", "B") },
    turns("u:Q"),
  ],
  [
    "shibing624/medical's",
    "preference-qa",
    { question: "Q", response_chosen: "A", response_rejected: "B", system: "S", history: [["Q0", "A0"]] },
    turns("s:S", "u:Q0", "a:A0", "u:Q"),
  ],
  ["TRL's texts", "preference-trl", { prompt: "Q", chosen: "A", rejected: "B" }, turns("u:Q")],
  [
    "TRL's messages with an explicit prompt",
    "preference-trl",
    { prompt: [message("user", "Q")], chosen: [message("assistant", "A")], rejected: [message("assistant", "B")] },
    turns("u:Q"),
  ],
  [
    "TRL's messages with an implicit prompt",
    "preference-trl",
    {
      chosen: [message("user", "Q"), message("assistant", "A")],
      rejected: [message("user", "Q"), message("assistant", "B")],
    },
    turns("u:Q"),
  ],
  [
    "a prompt that both answers repeat",
    "preference-trl",
    {
      prompt: "Q",
      chosen: [message("user", "Q"), message("assistant", "A")],
      rejected: [message("user", "Q"), message("assistant", "B")],
    },
    turns("u:Q"),
  ],
  [
    "answers that begin alike",
    "preference-trl",
    {
      chosen: [message("user", "Q"), message("assistant", "Wait."), message("user", "Q"), message("assistant", "A")],
      rejected: [message("user", "Q"), message("assistant", "Wait."), message("user", "Q"), message("assistant", "B")],
    },
    turns("u:Q", "a:Wait.", "u:Q"),
  ],
  [
    "transcripts that begin alike",
    "preference-trl",
    {
      chosen: "\n\nHuman: Q0\n\nAssistant: A0\n\nHuman: Q\n\nAssistant: A",
      rejected: "\n\nHuman: Q0\n\nAssistant: A0\n\nHuman: Q\n\nAssistant: B",
    },
    turns("u:Q0", "a:A0", "u:Q"),
  ],
];

const read = (row: Row): Example => detectFormat(row).format.read(row);

describe("a chat", () => {
  it.each(chats)("is read from %s (%s)", (_, format, row, expected) => {
    expect(detectFormat(row).format.name).toBe(format);
    expect(read(row)).toMatchObject({ kind: "chat", turns: expected });
  });

  it("keeps the columns that are no part of its format, and tools as JSON text", () => {
    const row = { conversations: [said("human", "Q")], tools: [{ name: "f" }], category: "x", id: 7 };
    expect(read(row)).toMatchObject({ tools: '[{"name":"f"}]', extra: { category: "x", id: 7 } });
    expect(read({ ...row, tools: "[]" })).toMatchObject({ tools: null });
  });
});

describe("a preference", () => {
  it.each(preferences)("is read from %s (%s)", (_, format, row, prompt) => {
    expect(detectFormat(row).format.name).toBe(format);
    const answers = { chosen: turns("a:A"), rejected: turns("a:B") };
    expect(read(row)).toMatchObject({ kind: "preference", turns: prompt, ...answers, tools: null, extra: {} });
  });
});

describe("a text and a prompt", () => {
  it.each<[Row, object]>([
    [
      { text: "T", id: 1 },
      { kind: "text", text: "T", extra: { id: 1 } },
    ],
    [{ prompt: "Q" }, { kind: "prompt", turns: turns("u:Q"), answer: null }],
    [
      { question: "Q", system: "S" },
      { kind: "prompt", turns: turns("s:S", "u:Q"), answer: null },
    ],
    [
      { prompt: [message("user", "Q")], answer: "A" },
      { kind: "prompt", turns: turns("u:Q"), answer: "A" },
    ],
  ])("is read from %j", (row, expected) => {
    expect(read(row)).toMatchObject(expected);
  });
});

describe("detection", () => {
  it("names the columns by which it tells a format", () => {
    expect(describeFormat(detectFormat({ id: 1, query: "Q", response: "A" }))).toBe("qa (query, response)");
  });

  it("takes what a row says most of: an answer before a prompt, a chat before its text", () => {
    expect(detectFormat({ text: "T", instruction: "Q", output: "A" }).format.name).toBe("alpaca");
    expect(detectFormat({ prompt: "Q", chosen: "A", rejected: "B", messages: [] }).format.name).toBe("preference-trl");
  });

  it.each<[string, Row, string]>([
    ["no format", { a: 1, b: 2 }, "the columns (a, b) fit no format"],
    [
      "two formats",
      { question: "Q", answer: "A", messages: [] },
      "fit both messages (messages) and qa (question, answer)",
    ],
  ])("refuses columns of %s", (_, row, message) => {
    expect(() => detectFormat(row)).toThrow(message);
  });
});

describe("a row that a format cannot be read from is refused", () => {
  it.each<[row: Row, reason: string]>([
    [{ text: 7 }, 'expected text in "text", got 7'],
    [{ conversations: "x" }, 'conversations: expected a list of turns, got "x"'],
    [{ conversations: [] }, "conversations: expected turns, got none"],
    [{ conversations: [null] }, "expected an object with from and value, or role and content"],
    [{ conversations: [said("narrator", "x")] }, 'conversations[0]: unknown role "narrator"'],
    [{ conversations: [{ from: "human", value: null }] }, 'conversations[0]: expected a string "value", got null'],
    [{ conversations: [{ ...said("gpt", "A"), weight: 0 }] }, 'conversations[0] has "weight"'],
    [{ system: "S", conversations: [said("system", "T")] }, "expected one system prompt, got two that differ"],
    [{ conversations: [said("human", "Q")], tools: "no JSON" }, 'tools: expected JSON, got "no JSON"'],
    [{ messages: [{ role: "user", content: [{ type: "image_url" }] }] }, 'a part of type "image_url"'],
    [{ messages: [{ role: "user", content: "Q", tool_calls: [openaiCall] }] }, "tool calls of the assistant alone"],
    [
      { messages: [{ role: "assistant", tool_calls: [{ function: { name: "f", arguments: "{" } }] }] },
      "messages[0]: tool_calls: expected JSON, got",
    ],
    [
      {
        messages: [
          { role: "assistant", tool_calls: [openaiCall, { ...openaiCall, id: "2" }] },
          { role: "tool", content: "3", tool_call_id: "2" },
        ],
      },
      "in the order of the calls",
    ],
    [{ instruction: "Q", output: "A", history: [["Q"]] }, 'expected a question and an answer in "history"'],
    [{ data: ["Q"] }, "begin with 问： or 答："],
    [
      { conversations: [said("human", "Q"), said("gpt", "A")], chosen: "B", rejected: "C" },
      "ends with the user or a tool",
    ],
    [{ prompt: "Q", chosen: [message("user", "A")], rejected: "B" }, "expected answers of the assistant, got user"],
    [{ chosen: "A", rejected: "B" }, 'expected a "prompt", or a text that begins with "Human:"'],
    [{ prompt: [message("user", "Q"), message("assistant", "A")] }, "ends with the user or a tool, got assistant"],
  ])("%j", (row, reason) => {
    expect(() => read(row)).toThrow(reason);
  });
});

describe("the list of formats", () => {
  it("names each once", () => {
    expect(new Set(FORMATS.map(({ name }) => name)).size).toBe(FORMATS.length);
  });
});
