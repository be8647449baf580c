/** Tool formats against MedicalGPT's (reference results D/tool_utils). */
import { describe, expect, it } from "vitest";
import { goldenCases, goldenDir, readCase } from "../testing/goldens.js";
import { listElements, pythonJson } from "./python-json.js";
import { TOOL_FORMATS, type FunctionCall, type ToolFormatName } from "./tool-formats.js";

interface ToolCase {
  readonly tools: readonly unknown[];
  readonly calls: readonly [name: string, input: string][];
  readonly formats: Readonly<
    Record<
      string,
      {
        tool_formatter: string;
        function_formatter_one: string;
        function_formatter_two?: string;
        function_formatter_two_error?: string;
        extract: readonly { content: string; result: string | [string, string][] }[];
      }
    >
  >;
}

describe.each(goldenCases("D_sft", "formats"))("tool formats (%s)", (folder) => {
  const { tools, calls, formats } = readCase<ToolCase>(goldenDir("D_sft", folder));
  const given = calls.map(([name, input]): FunctionCall => ({ name, arguments: input }));

  it("are those that MedicalGPT has", () => {
    expect(Object.keys(TOOL_FORMATS)).toEqual(Object.keys(formats));
  });

  it.each(Object.keys(formats))("%s describes tools, writes calls and finds them again", (name) => {
    const format = TOOL_FORMATS[name as ToolFormatName];
    const expected = formats[name]!;
    expect(format.describe(JSON.stringify(tools))).toBe(expected.tool_formatter);
    expect(format.call(given.slice(0, 1))).toBe(expected.function_formatter_one);
    if (expected.function_formatter_two === undefined)
      expect(() => format.call(given)).toThrow(expected.function_formatter_two_error);
    else expect(format.call(given)).toBe(expected.function_formatter_two);
    for (const { content, result } of expected.extract) {
      const found = format.extract(content);
      expect(typeof found === "string" ? found : found.map((call) => [call.name, call.arguments])).toEqual(result);
    }
  });
});

describe("pythonJson", () => {
  // Python 3: json.dumps(json.loads(text), ensure_ascii=False[, indent=4])
  it.each([
    ['{"a":1,"b":[1.0,-2e3,1E22,1e-7]}', '{"a": 1, "b": [1.0, -2000.0, 1e+22, 1e-07]}'],
    ['{ "中" : "\\u4e2d\\/\\n" , "e" : {} , "l" : [ ] }', '{"中": "中/\\n", "e": {}, "l": []}'],
    ["12345678901234567890123", "12345678901234567890123"],
    ['"{\\"a\\":1}"', '"{\\"a\\":1}"'],
  ])("spells %s as Python does", (text, expected) => {
    expect(pythonJson(text)).toBe(expected);
  });

  it("indents", () => {
    expect(pythonJson('{"a":[1,{}],"b":{"c":null}}', 4)).toBe(
      '{\n    "a": [\n        1,\n        {}\n    ],\n    "b": {\n        "c": null\n    }\n}',
    );
  });

  it("takes a list apart", () => {
    expect(listElements(' [ {"a":[1,2]} , "x,]" ,3] ')).toEqual(['{"a":[1,2]}', '"x,]"', "3"]);
    expect(listElements("[]")).toEqual([]);
  });
});
