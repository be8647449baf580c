import { readConversation } from "@medgpt/core/chat";
import { describe, expect, it } from "vitest";

import { detectFormat } from "../formats/detect-format.js";
import type { ChatExample, Example, PreferenceExample, PromptExample, Turn } from "../formats/example.js";
import type { TargetName } from "./targets.js";
import { TARGETS } from "./targets.js";

const call = '{"name":"f","arguments":{"x":1}}';
const tools = '[{"name":"f"}]';
const turn = (role: Turn["role"], content: string): Turn => ({ role, content });
const [question, answer] = [turn("user", "Q"), turn("assistant", "A")];

const chat = (...turns: Turn[]): ChatExample => ({ kind: "chat", turns, tools: null, extra: {} });
const system = chat(turn("system", "S"), turn("user", "Q0"), turn("assistant", "A0"), question, answer);
const called: ChatExample = { ...chat(question, turn("tool_call", call), turn("tool", "3"), answer), tools };
const preference: PreferenceExample = {
  ...chat(question),
  kind: "preference",
  chosen: [answer],
  rejected: [turn("assistant", "B")],
};
const prompt: PromptExample = { ...chat(question), kind: "prompt", answer: null };
const text: Example = { kind: "text", text: "T", extra: {} };

const openaiCalls = [{ id: "call_0", type: "function", function: { name: "f", arguments: '{"x":1}' } }];

describe("a target writes", () => {
  it.each<[TargetName, string, Example, object]>([
    [
      "sharegpt",
      "a system prompt and every role",
      { ...chat(turn("system", "S"), ...called.turns), tools },
      {
        conversations: [
          { from: "system", value: "S" },
          { from: "human", value: "Q" },
          { from: "function_call", value: call },
          { from: "observation", value: "3" },
          { from: "gpt", value: "A" },
        ],
        tools,
      },
    ],
    [
      "messages",
      "tool calls with ids and arguments as OpenAI has them",
      called,
      {
        messages: [
          { role: "user", content: "Q" },
          { role: "assistant", content: "", tool_calls: openaiCalls },
          { role: "tool", content: "3", tool_call_id: "call_0" },
          { role: "assistant", content: "A" },
        ],
        tools: [{ name: "f" }],
      },
    ],
    [
      "messages",
      "what is said beside a call in the same message",
      chat(question, turn("assistant", "Wait."), turn("tool_call", call)),
      {
        messages: [
          { role: "user", content: "Q" },
          { role: "assistant", content: "Wait.", tool_calls: openaiCalls },
        ],
      },
    ],
    ["alpaca", "one question", chat(question, answer), { instruction: "Q", input: "", output: "A" }],
    [
      "alpaca",
      "system prompt and history",
      system,
      { instruction: "Q", input: "", output: "A", history: [["Q0", "A0"]], system: "S" },
    ],
    ["text", "a text", text, { text: "T" }],
    ["text", "what was said", system, { text: "S\nQ0\nA0\nQ\nA" }],
    [
      "preference",
      "a prompt with two answers",
      { ...preference, tools },
      { conversations: [{ from: "human", value: "Q" }], chosen: "A", rejected: "B", tools },
    ],
    ["prompt", "a prompt", prompt, { prompt: [{ role: "user", content: "Q" }] }],
    [
      "prompt",
      "a chat with its last answer",
      chat(question, answer),
      { prompt: [{ role: "user", content: "Q" }], answer: "A" },
    ],
    ["prompt", "a chat without one", chat(question), { prompt: [{ role: "user", content: "Q" }] }],
    [
      "sharegpt",
      "a prompt with its answer",
      { ...prompt, answer: "A" },
      {
        conversations: [
          { from: "human", value: "Q" },
          { from: "gpt", value: "A" },
        ],
      },
    ],
  ])("%s: %s", (name, _, example, row) => {
    expect(TARGETS[name].write(example)).toEqual(row);
  });
});

describe("a target refuses what it cannot say", () => {
  it.each<[TargetName, Example, string]>([
    ["sharegpt", text, "sharegpt cannot hold plain text"],
    ["sharegpt", preference, "sharegpt cannot hold two answers"],
    ["sharegpt", prompt, "sharegpt needs an answer"],
    ["messages", chat(question, turn("tool_call", "f(1)")), "tool calls with a name and arguments"],
    ["messages", chat(question, turn("tool", "3")), "a tool call before each result"],
    ["messages", chat(question, turn("tool_call", `[${call},${call}]`), turn("tool", "3"), answer), "a result of each"],
    ["alpaca", called, "alpaca cannot hold tools"],
    ["alpaca", chat(answer, question), "got assistant, user"],
    ["alpaca", chat(question), "got user"],
    ["alpaca", chat(question, turn("tool_call", call)), "got user, tool_call"],
    ["text", called, "text cannot hold tools"],
    ["text", preference, "text cannot hold two answers"],
    ["text", prompt, "text cannot hold a prompt"],
    ["preference", chat(question, answer), "needs two answers to a prompt, got a chat"],
    [
      "preference",
      { ...preference, chosen: [turn("tool_call", call)] },
      "one text as the chosen answer, got tool_call",
    ],
    ["prompt", preference, "prompt cannot hold two answers"],
    ["prompt", chat(answer), "a last turn of the user or a tool before the answer, got none"],
  ])("%s: %j", (name, example, reason) => {
    expect(() => TARGETS[name].write(example)).toThrow(reason);
  });
});

describe("what a target writes", () => {
  it.each<[TargetName, Example]>([
    ["sharegpt", system],
    ["sharegpt", called],
    ["messages", system],
    ["messages", called],
    ["alpaca", system],
    ["text", text],
    ["preference", { ...preference, tools }],
    ["prompt", { ...prompt, answer: "A", tools }],
    ["prompt", prompt],
  ])("as %s is read as the same example: %j", (name, example) => {
    const row = TARGETS[name].write(example);
    expect(detectFormat(row).format.read(row)).toEqual(example);
  });
});

describe("what sharegpt writes", () => {
  it("is read by fine-tuning without a turn left out", () => {
    const row = TARGETS.sharegpt.write({ ...system, turns: [...system.turns, ...called.turns], tools });
    const leftOut: string[] = [];
    const options = { place: "x:1", toolFormat: "qwen", onLeftOut: (what: string) => leftOut.push(what) } as const;
    const read = readConversation(row, options);
    expect(leftOut).toEqual([]);
    expect(read.system).toMatch(/^S/);
    expect(read.turns.map(([asked]) => asked)).toEqual(["Q0", "Q", "Q", expect.stringContaining("3")]);
    expect(read.turns.at(-1)?.[1]).toBe("A");
  });
});
