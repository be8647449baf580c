import { describe, expect, it } from "vitest";
import { readConversation, type LeftOut } from "./conversation.js";
import type { ToolFormatName } from "./tool-formats.js";

const read = (row: object, toolFormat: ToolFormatName | null = null) => {
  const leftOut: LeftOut[] = [];
  const options = { place: "a.jsonl:1", toolFormat, onLeftOut: (what: LeftOut) => leftOut.push(what) };
  return { ...readConversation(row as Record<string, unknown>, options), leftOut };
};
const turns = (...said: [from: string, value: unknown][]) => said.map(([from, value]) => ({ from, value }));

describe("readConversation", () => {
  it("joins what one side says twice, and leaves out what has no other side", () => {
    const said = turns(
      ["gpt", "hello"],
      ["human", "a"],
      ["user", "b"],
      ["gpt", "c"],
      ["assistant", "d"],
      ["narrator", "e"],
      ["human", "f"],
    );
    expect(read({ conversations: said })).toEqual({
      system: "",
      turns: [["a\nb", "c\nd"]],
      leftOut: ["answer before the first question", 'turn of role "narrator"', "question without an answer"],
    });
  });

  it("takes the system prompt from a turn, else from a column", () => {
    const said = turns(["system", "be brief"], ["human", "a"], ["gpt", "b"]);
    expect(read({ conversations: said, system_prompt: "other" }).system).toBe("be brief");
    expect(read({ conversations: said.slice(1), system_prompt: "other" }).system).toBe("other");
  });

  const tools = '[{"name":"now","parameters":{"type":"object","properties":{}}}]';
  const called = turns(
    ["human", "time?"],
    ["function_call", '{"name": "now", "arguments": {"zone":1.0}}'],
    ["observation", "noon"],
    ["gpt", "It is noon."],
  );

  it("writes tools, calls and what they gave in a format", () => {
    const { system, turns } = read({ conversations: called, tools }, "qwen");
    expect(system).toContain('<tools>\n{"type": "function", "function": {"name": "now", "parameters"');
    expect(turns).toEqual([
      ["time?", '<tool_call>\n{"name": "now", "arguments": {"zone": 1.0}}\n</tool_call>'],
      ["<tool_response>\nnoon\n</tool_response>", "It is noon."],
    ]);
  });

  it("leaves the tools out where there is no format", () => {
    expect(read({ conversations: called, tools })).toEqual({
      system: "",
      turns: [
        ["time?", 'Action: now\nAction Input: {"zone": 1.0}'],
        ["Observation: noon", "It is noon."],
      ],
      leftOut: [],
    });
  });

  it("reads OpenAI's messages, tools and calls to the same", () => {
    const messages = [
      { role: "user", content: "time?" },
      { role: "assistant", content: null, tool_calls: [{ function: { name: "now", arguments: '{"zone":1.0}' } }] },
      { role: "tool", content: "noon" },
      { role: "assistant", content: "It is noon." },
    ];
    const wrapped = JSON.parse(tools).map((tool: unknown) => ({ type: "function", function: tool }));
    const openai = read({ messages, tools: wrapped }, "qwen");
    const sharegpt = read({ conversations: called, tools }, "qwen");
    expect(openai.turns).toEqual(sharegpt.turns);
    expect(openai.system).toBe(sharegpt.system);
  });

  it("writes several calls at once where the format can", () => {
    const both = turns(["human", "q"], ["function_call", '[{"name":"a","arguments":{}},{"name":"b","arguments":[1]}]']);
    expect(read({ conversations: both }, "mistral").turns[0]![1]).toBe(
      '[{"name": "a", "arguments": {}}, {"name": "b", "arguments": [1]}]',
    );
    expect(() => read({ conversations: both }, "glm4")).toThrow(
      "a.jsonl:1: conversations[1]: GLM-4 does not support parallel functions.",
    );
  });

  it.each([
    [{ text: "a" }, /a\.jsonl:1: expected a list "conversations".*got the fields text/],
    [{ conversations: "a" }, /got "a"/],
    [{ conversations: ["a"] }, /conversations\[0\]: expected an object, got "a"/],
    [{ messages: [{ role: "user" }] }, /messages\[0\]: expected a string "content", got nothing/],
    [{ messages: [{ role: "assistant", tool_calls: 1 }] }, /messages\[0\]: tool_calls: expected a list/],
    [{ conversations: [], tools: '"x"' }, /tools: expected a JSON list of tools, got "x"/],
  ])("refuses %j", (row, message) => {
    expect(() => read(row)).toThrow(message);
  });
});
