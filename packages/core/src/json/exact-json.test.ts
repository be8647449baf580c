import { describe, expect, it } from "vitest";
import { halfPairError, halfPairs, JsonNumber, parseJson, stringifyJson } from "./exact-json.js";

describe("parseJson", () => {
  it.each([
    '{"a":9223372036854775807,"b":-9223372036854775808,"c":123456789012345678901234567890}',
    "[1e999,-1E+400,1e5,1.0,0.10,-0,-0.0,1.2345678901234567890]",
    '{"__proto__":{"__proto__":1.0,"constructor":[[2.0]]},"":1e1,"toString":3,"a.b":"1.0","c\\"1.0":"-0\\\\"}',
    '{"x":0.1,"y":1e+21,"z":[-12,3.5],"s":"1e999"}',
    "1e999",
  ])("keeps every number of %s as it is written", (text) => {
    expect(stringifyJson(parseJson(text))).toBe(text);
  });

  it("gives numbers that JavaScript writes likewise as such, and the others as what they say", () => {
    expect(parseJson('[1,0.5,1.0,{"a":null}]')).toEqual([1, 0.5, new JsonNumber("1.0"), { a: null }]);
    expect(JSON.stringify(parseJson('{"a":1.0,"b":9007199254740993}'))).toBe('{"a":1,"b":9007199254740992}');
  });

  it("takes the last of a key that comes twice, as JSON.parse does", () => {
    expect(stringifyJson(parseJson('{"a":1,"b":1.0,"a":2.0}'))).toBe('{"a":2.0,"b":1.0}');
  });

  it("throws for what is no JSON", () => {
    expect(() => parseJson("[1.0")).toThrow(SyntaxError);
  });
});

describe("halfPairs", () => {
  it.each<[string, number[]]>([
    [String.raw`{"a":"\ud83d\ude00 \uD83D\uDE00"}`.replaceAll("\\\\", "\\"), []],
    [String.raw`"\ud83d"`.replaceAll("\\\\", "\\"), [1]],
    [String.raw`"\ude00\ud83d\ude00\ud83dx"`.replaceAll("\\\\", "\\"), [1, 19]],
    ['"\\\\ud83d"', []],
    ['"\\\\\\ud83d"', [3]],
    ['"plain 文 🤧"', []],
  ])("of %s are at %j", (text, expected) => {
    expect([...halfPairs(text)]).toEqual(expected);
  });

  it("have a place in the file", () => {
    const error = halfPairError('{"😀":\n "\\ud83d"}', { file: "x.json", line: 3, column: 5 });
    expect(error?.message).toMatch(/^x\.json:4:3: expected Unicode, got \\ud83d, half of a character/);
  });
});
