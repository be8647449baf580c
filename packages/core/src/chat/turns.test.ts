import { describe, expect, it } from "vitest";
import { readTurns } from "./turns.js";

const read = (...turns: unknown[]): string[] =>
  readTurns(turns, "x:1: messages").map(({ role, content }) => `${role}: ${content}`);
const call = (input: unknown) => ({ role: "assistant", tool_calls: [{ function: { name: "f", arguments: input } }] });
const spoken = (value: string) => ({ from: "function_call", value });

describe("readTurns", () => {
  it("joins the parts of a text", () => {
    const parts = [
      { type: "text", text: "血糖六点一，" },
      { type: "text", text: "高吗？", image_url: null },
    ];
    expect(read({ role: "user", content: parts }, { from: "gpt", value: parts })).toEqual([
      "user: 血糖六点一，高吗？",
      "assistant: 血糖六点一，高吗？",
    ]);
  });

  it("knows roles by every usual name, whatever its case", () => {
    const names = ["developer", "Human", "USER", "model", "function_response", "constructor", "narrator", 3];
    expect(
      readTurns(
        names.map((role) => ({ role, content: "x" })),
        "",
      ).map(({ role }) => role),
    ).toEqual(
      ["system", "user", "user", "assistant", "tool", undefined, undefined, undefined], // prettier-ignore
    );
  });

  it.each([
    ["an object", {}, "{}"],
    ["the text of an object, as it is spelt", '{"x": 1.0}', '{"x": 1.0}'],
    ["nothing", undefined, "{}"],
    ["null", null, "{}"],
    ["the text of null", "null", "{}"],
  ])("takes %s for the arguments of a call", (_, given, input) => {
    expect(read(call(given))).toEqual([`tool_call: {"name":"f","arguments":${input}}`]);
  });

  it.each([
    ['{"name": "f", "arguments": {"x": 1.0}}', '{"name": "f", "arguments": {"x": 1.0}}'],
    ['{"name": "f", "arguments": null}', '{"name":"f","arguments":{}}'],
    ['{"name": "f"}', '{"name":"f","arguments":{}}'],
    ['[{"name":"f","arguments":"{\\"x\\": 1}"}, {"name":"g","arguments":{}}]', '[{"name":"f","arguments":{"x": 1}}, {"name":"g","arguments":{}}]'], // prettier-ignore
    ['{"action": "f"}', '{"action": "f"}'],
  ])("reads the call %s", (text, read) => {
    expect(readTurns([spoken(text)], "")).toMatchObject([{ role: "tool_call", content: read }]);
  });

  it.each([
    [{ role: "user", content: [{ type: "image_url", image_url: { url: "a" } }] }, 'got a part of type "image_url"'],
    [{ role: "user", content: [{ type: "text", text: "a" }, { type: "input_audio" }] }, 'a part of type "input_audio"'],
    [{ role: "assistant", content: [{ type: "refusal", refusal: "No." }] }, 'got a part of type "refusal"'],
    [{ role: "user", content: [[{ type: "text", text: "a" }]] }, 'parts that are text, got [{"type"'],
    [{ role: "user", content: ["a"] }, 'parts that are text, got "a"'],
    [{ role: "user", content: [{ type: "text", text: null }] }, 'parts that are text, got {"type"'],
    [{ role: "user", content: { type: "text", text: "a" } }, 'expected a string "content", got {"type"'],
    [{ role: "assistant", content: null }, 'expected a string "content", got null'],
    [{ role: "assistant", content: null, tool_calls: [] }, 'expected a string "content", got null'],
    [{ role: "assistant", content: null, refusal: "No." }, 'expected a string "content", got null'],
    [{ role: "user", content: "a", tool_calls: [{}] }, "expected tool calls of the assistant alone"],
    [call(""), 'tool_calls: expected JSON, got ""'],
    [call("now()"), 'tool_calls: expected JSON, got "now()"'],
    [call([1]), "expected arguments that are a JSON object, got [1]"],
    [call("[1]"), 'expected arguments that are a JSON object, got "[1]"'],
    [call(7), "expected arguments that are a JSON object, got 7"],
    [call('"x"'), "expected arguments that are a JSON object"],
    [spoken("now()"), 'expected JSON, got "now()"'],
    [spoken('{"name": "f", "arguments": [1]}'), "expected arguments that are a JSON object, got [1]"],
    [spoken('[{"name": "f", "arguments": "soon"}]'), 'expected JSON, got "soon"'],
  ])("refuses %j with its place", (turn, message) => {
    expect(() => read({ role: "system", content: "s" }, turn)).toThrow(`x:1: messages[1]`);
    expect(() => read(turn)).toThrow(message);
  });
});
