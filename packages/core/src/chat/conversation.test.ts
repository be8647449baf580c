import { describe, expect, it } from "vitest";
import { readConversation } from "./conversation.js";
import type { LeftOut } from "./left-out.js";
import type { ToolFormatName } from "./tool-formats.js";

const read = (row: object, toolFormat: ToolFormatName | null = null) => {
  const leftOut: LeftOut[] = [];
  const options = { place: "a.jsonl:1", toolFormat, onLeftOut: (what: LeftOut) => leftOut.push(what) };
  return { ...readConversation(row as Record<string, unknown>, options), leftOut };
};
const turns = (...said: [from: string, value: unknown][]) => said.map(([from, value]) => ({ from, value }));

const tools = '[{"name":"now","parameters":{"type":"object","properties":{}}}]';
const called = turns(
  ["human", "time?"],
  ["function_call", '{"name": "now", "arguments": {"zone":1.0}}'],
  ["observation", "noon"],
  ["gpt", "It is noon."],
);

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

  it("takes the system prompt from a turn, else from a column, and says where two differ", () => {
    const said = turns(["system", "be brief"], ["human", "a"], ["gpt", "b"]);
    const two = ["row with two system prompts"];
    expect(read({ conversations: said, system_prompt: "other" })).toMatchObject({ system: "be brief", leftOut: two });
    expect(read({ conversations: said, system: "be brief" })).toMatchObject({ system: "be brief", leftOut: [] });
    expect(read({ conversations: said.slice(1), system_prompt: "other" }).system).toBe("other");
    const again = [...turns(["system", "be kind"]), ...said];
    expect(read({ conversations: again })).toMatchObject({ system: "be brief", leftOut: two });
  });

  it("keeps a system prompt in a column beside tools that are described", () => {
    const row = { conversations: called, tools, system: "be brief" };
    expect(read(row, "qwen").system).toMatch(/^be brief\n\n\n\n# Tools/);
  });

  it.each([
    ["answer without text", ["human", "a"], ["gpt", ""], ["human", "b"], ["gpt", "c"]],
    ["answer without text", ["human", "a"], ["gpt", "\u3000\n"], ["human", "b"], ["gpt", "c"]],
    ["answer without text", ["human", "a"], ["gpt", "\u200b\ufeff"], ["human", "b"], ["gpt", "c"]],
    ["question without text", ["human", " "], ["gpt", "a"], ["human", "b"], ["gpt", "c"]],
  ] as const)("leaves a question and its answer out where there is an %s: %j", (what, ...said) => {
    const conversations = said.map(([from, value]) => ({ from, value }));
    expect(read({ conversations })).toMatchObject({ turns: [["b", "c"]], leftOut: [what] });
  });

  it("learns an answer without text that calls a tool", () => {
    const call = '{"name": "now", "arguments": {}}';
    const said = turns(["human", "a"], ["gpt", ""], ["function_call", call]);
    expect(read({ conversations: said })).toMatchObject({
      turns: [["a", "Action: now\nAction Input: {}"]],
      leftOut: [],
    });
  });

  it("says what it does not read", () => {
    const messages = [
      { role: "user", content: "a", name: "Li" },
      { role: "assistant", content: "b", reasoning_content: "hm", refusal: null, annotations: [], weight: 0 },
    ];
    const { leftOut } = read({ messages, id: 7, source: null, tools: [], conversations: null });
    expect(leftOut).toEqual(['turn with "name"', 'turn with "reasoning_content"', 'turn with "weight"', 'column "id"']);
  });

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
      leftOut: ["row with tools that are not shown"],
    });
    expect(read({ conversations: called.slice(0, 1).concat(called.slice(3)), tools: "[]" }).leftOut).toEqual([]);
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
    const both = turns(
      ["human", "q"],
      ["function_call", '[{"name":"a","arguments":{}},{"name":"b","arguments":{"x":[1]}}]'],
    );
    expect(read({ conversations: both }, "mistral").turns[0]![1]).toBe(
      '[{"name": "a", "arguments": {}}, {"name": "b", "arguments": {"x": [1]}}]',
    );
    expect(() => read({ conversations: both }, "glm4")).toThrow(
      "a.jsonl:1: conversations[1]: GLM-4 does not support parallel functions.",
    );
  });

  it.each([
    [{ id: 1 }, /a\.jsonl:1: expected a list "conversations".*got the fields id;/],
    [{ instruction: "a", output: "b" }, /got the fields instruction, output; medgpt data convert --to sharegpt/],
    [{ text: "a" }, /a\.jsonl:1: this looks like plain text \("text"\), which medgpt pretrain learns from/],
    [{ text: "a", label: 1 }, /plain text/],
    [{ prompt: "a" }, /a\.jsonl:1: this looks like questions without answers \("prompt"\)/],
    [
      { conversations: turns(["human", "a"]), chosen: "b", rejected: "c" },
      /a\.jsonl:1: this looks like preference data/,
    ],
    [{ question: "a", response_chosen: "b", response_rejected: "c" }, /preference data/],
    [{ chosen: [{ role: "user", content: "a" }], rejected: [{ role: "user", content: "a" }] }, /preference data/],
    [{ conversations: "a" }, /got "a"/],
    [{ conversations: ["a"] }, /conversations\[0\]: expected an object with from and value, .*got "a"/],
    [{ messages: [{ role: "user" }] }, /messages\[0\]: expected a string "content", got nothing/],
    [{ messages: [{ role: "assistant", tool_calls: 1 }] }, /messages\[0\]: tool_calls: expected a list/],
    [{ conversations: [], tools: '"x"' }, /tools: expected a JSON list of tools, got "x"/],
  ])("refuses %j", (row, message) => {
    expect(() => read(row)).toThrow(message);
  });
});
