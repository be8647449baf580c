import { describe, expect, it } from "vitest";
import { toolsText, withoutFilledNulls } from "./tool-calls.js";

const tool = (name: string, properties: object, more: object = {}) => ({
  name,
  parameters: { type: "object", properties, ...more },
});
const cleaned = (input: string, ...tools: object[]): string =>
  withoutFilledNulls(`{"name": "pulse", "arguments": ${input}}`, JSON.stringify(tools));

describe("withoutFilledNulls", () => {
  const pulse = tool("pulse", { seconds: { type: "integer" } });
  it.each([
    ['{"seconds": 30.0, "floor": null}', '{"seconds": 30.0}'],
    ['{"floor": null}', "{}"],
  ])("makes of the arguments %s %s", (input, expected) => {
    const result = `{"name":"pulse","arguments":${expected}}`;
    expect(cleaned(input, pulse, tool("bed", { floor: {} }))).toBe(result);
    expect(cleaned(input, { type: "function", function: pulse })).toBe(result);
  });

  it.each([
    ["declared", '{"seconds": null}', pulse],
    ["not null", '{"floor": 3}', pulse],
    ["of a tool that takes any", '{"floor": null}', tool("pulse", {}, { additionalProperties: true })],
    ["of a tool without a schema", '{"floor": null}', { name: "pulse" }],
    ["of another tool", '{"floor": null}', tool("bed", {})],
  ])("leaves what is %s", (_, input, given) => {
    expect(cleaned(input, given)).toBe(`{"name": "pulse", "arguments": ${input}}`);
  });

  it("looks into objects and lists, and at each of several calls", () => {
    const at = tool("pulse", { at: { properties: { hour: {} } }, all: { items: { properties: { hour: {} } } } });
    expect(cleaned('{"at": {"hour": 1, "day": null}, "all": [{"hour": 2, "day": null}]}', at)).toBe(
      '{"name":"pulse","arguments":{"at": {"hour": 1}, "all": [{"hour": 2}]}}',
    );
    const calls = '[{"name": "pulse", "arguments": {"floor": null}}, {"name": "bed", "arguments": {"floor": null}}]';
    expect(withoutFilledNulls(calls, JSON.stringify([pulse, tool("bed", { floor: {} })]))).toBe(
      '[{"name":"pulse","arguments":{}}, {"name": "bed", "arguments": {"floor": null}}]',
    );
  });
});

describe("toolsText", () => {
  it("leaves a text as it is, and out of a list what a table filled in", () => {
    expect(toolsText('[{"name": "f", "description": null}]', "")).toBe('[{"name": "f", "description": null}]');
    const filled = tool("f", { a: { type: "string", enum: null, default: null }, b: null });
    expect(toolsText([{ ...filled, strict: null }], "")).toBe(
      JSON.stringify([tool("f", { a: { type: "string", default: null } })]),
    );
    expect([toolsText(null, ""), toolsText("", ""), toolsText("[]", ""), toolsText([], "")]).toEqual(
      [undefined, undefined, undefined, undefined], // prettier-ignore
    );
  });

  it.each(["{", "{}", '["f"]', "null", 7])("refuses %j", (tools) => {
    expect(() => toolsText(tools, "x:1: tools")).toThrow("x:1: tools: expected");
  });
});
