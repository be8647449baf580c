/** Conversion and fine-tuning read rows alike: what one takes the other takes, to the same texts. */
import { readConversation } from "@medgpt/core/chat";
import { describe, expect, it } from "vitest";

import { TARGETS } from "../targets/targets.js";
import { detectFormat } from "./detect-format.js";
import { usableExample } from "./usable-example.js";

type Row = Record<string, unknown>;

/** What fine-tuning reads of a row; undefined where it refuses it, or leaves something of it out. */
function trained(row: Row): object | undefined {
  let whole = true;
  const onLeftOut = (what: string): void => void (whole &&= what.startsWith("call with null"));
  try {
    const conversation = readConversation(row, { place: "x:1", toolFormat: "qwen", onLeftOut });
    return whole && conversation.turns.length > 0 ? conversation : undefined;
  } catch {
    return undefined;
  }
}

/** What it reads of the same row after a conversion; undefined where that refuses it. */
function converted(row: Row, target: "sharegpt" | "messages"): object | undefined {
  let written: Row;
  try {
    written = TARGETS[target].write(usableExample(detectFormat(row).format.read(row)));
  } catch {
    return undefined;
  }
  return trained(written);
}

const tools = [{ name: "f", parameters: { type: "object", properties: { x: { type: "number" } } } }];
const call = (input: unknown, id = "1"): Row => ({ id, type: "function", function: { name: "f", arguments: input } });
const [asked, answered] = [
  { role: "user", content: "Q" },
  { role: "assistant", content: "A" },
];
const calls = (message: Row, ...results: Row[]): Row => ({
  tools,
  messages: [asked, { role: "assistant", ...message }, ...results, answered],
});
const part = (text: unknown, type = "text"): Row => ({ type, text });
const user = (content: unknown): Row => ({ messages: [{ role: "user", content }, answered] });
const result = (id = "1"): Row => ({ role: "tool", tool_call_id: id, content: "3" });
const sharegpt = (...turns: [string, unknown][]): Row => ({
  conversations: turns.map(([from, value]) => ({ from, value })),
});

const taken: [name: string, row: Row][] = [
  ["texts", { messages: [asked, answered] }],
  ["parts", user([part("血糖六点一，"), part("高吗？")])],
  ["parts in ShareGPT", sharegpt(["human", [part("a"), part("b")]], ["gpt", "A"])],
  ["a developer", { messages: [{ role: "developer", content: "S" }, asked, answered] }],
  ["roles in capitals", { messages: [{ role: "User", content: "Q" }, { role: "MODEL", content: "A" }] }],
  ["roles of other exports", sharegpt(["human", "Q"], ["chatgpt", "A"], ["user", "Q"], ["bing", "A"])],
  ["OpenAI's turns under ShareGPT's key", { conversations: [asked, answered] }],
  ["a system prompt in a column", { system: "S", messages: [asked, answered] }],
  ["the same twice", { system_prompt: "S", messages: [{ role: "system", content: "S" }, asked, answered] }],
  ["calls without content", calls({ content: null, tool_calls: [call('{"x":1}')] }, result())],
  ["calls with no content at all", calls({ tool_calls: [call({ x: 1 })] }, result())],
  ["calls beside text", calls({ content: "Wait.", tool_calls: [call('{"x":1}')] }, result())],
  ["calls beside parts", calls({ content: [part("Wait.")], tool_calls: [call('{"x":1}')] }, result())],
  ["no arguments", calls({ tool_calls: [call("null"), call(null, "2"), call({}, "3")] }, result(), result("2"), result("3"))],
  ["filled-in nulls", calls({ tool_calls: [call({ x: 1, y: null })] }, result())],
  ["a number as it is spelt", calls({ tool_calls: [call('{"x": 1.0}')] }, result())],
  ["a call as it was before tool_calls", calls({ content: null, function_call: { name: "f", arguments: "{}" } }, { role: "function", name: "f", content: "3" })],
  ["a call as ShareGPT has it", { ...sharegpt(["human", "Q"], ["function_call", '{"name":"f","arguments":{"x":1.0}}'], ["observation", "3"], ["gpt", "A"]), tools: JSON.stringify(tools) }],
  ["what is null", { id: null, messages: [{ ...asked, tool_calls: null, name: null }, { ...answered, refusal: null, tool_calls: [], annotations: [] }] }],
  ["wrapped tools", { ...calls({ tool_calls: [call({})] }, result()), tools: tools.map((one) => ({ type: "function", function: one })) }],
]; // prettier-ignore

const refused: [name: string, row: Row][] = [
  ["a part that is an image", user([part("a"), { type: "image_url", image_url: { url: "u" } }])],
  ["a part that is sound", user([{ type: "input_audio", input_audio: {} }])],
  ["a part that refuses", { messages: [asked, { role: "assistant", content: [{ type: "refusal", refusal: "No." }] }] }],
  ["a refusal beside", { messages: [asked, { role: "assistant", content: null, refusal: "No." }] }],
  ["lists in lists", user([[part("a")]])],
  ["bare texts in a list", user(["a", "b"])],
  ["a part without text", user([part(null)])],
  ["an object", user(part("a"))],
  ["a number", user(7)],
  ["no content", { messages: [asked, { role: "assistant" }] }],
  ["no content and no calls", { messages: [asked, { role: "assistant", content: null, tool_calls: [] }] }],
  ["no text", { messages: [asked, { role: "assistant", content: " " }] }],
  ["parts without text", user([])],
  ["a question without text", user("\u3000")],
  ["an unknown role", { messages: [asked, answered, { role: "narrator", content: "N" }] }],
  ["a role that objects have", { messages: [{ role: "constructor", content: "N" }, asked, answered] }],
  ["no role", { messages: [{ content: "Q" }, answered] }],
  ["a name", { messages: [{ ...asked, name: "Li" }, answered] }],
  ["a weight", { messages: [asked, { ...answered, weight: 0 }] }],
  ["reasoning", { messages: [asked, { ...answered, reasoning_content: "hm" }] }],
  ["a turn that is text", { messages: ["Q", "A"] }],
  ["no turns", { messages: [] }],
  ["turns that are no list", { messages: "Q" }],
  ["calls of the user", { messages: [{ ...asked, tool_calls: [call({})] }, answered] }],
  ["calls that are no list", calls({ tool_calls: call({}) })],
  ["a call without a name", calls({ tool_calls: [{ function: { arguments: "{}" } }] }, result())],
  ...["", "now()", "[1]", "7", '"x"'].map((input): [string, Row] => [`arguments ${input}`, calls({ tool_calls: [call(input)] }, result())]),
  ["arguments that are a list", calls({ tool_calls: [call([1])] }, result())],
  ["results in another order", calls({ tool_calls: [call({}), call({}, "2")] }, result("2"), result())],
  ["ShareGPT's call that is no JSON", sharegpt(["human", "Q"], ["function_call", "f(1)"], ["gpt", "A"])],
  ["tools that are no list", { messages: [asked, answered], tools: "{}" }],
  ["tools that are no objects", { messages: [asked, answered], tools: ["f"] }],
  ["a system prompt that is no text", { system: 7, messages: [asked, answered] }],
  ["two system prompts", { system: "S", messages: [{ role: "system", content: "T" }, asked, answered] }],
]; // prettier-ignore

describe("a row that is read by conversion and by fine-tuning", () => {
  it.each(taken)("says the same: %s", (_, row) => {
    expect(trained(row)).toBeDefined();
    expect(converted(row, "sharegpt")).toEqual(trained(row));
    expect(converted(row, "messages")).toEqual(trained(row));
  });
});

describe("a row that neither takes as it is", () => {
  it.each(refused)("has %s", (_, row) => {
    expect(trained(row)).toBeUndefined();
    expect(converted(row, "sharegpt")).toBeUndefined();
  });
});
