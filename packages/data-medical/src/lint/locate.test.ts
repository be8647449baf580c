import { describe, expect, it } from "vitest";
import { locate, offsetInString } from "./locate.js";

const source = String.raw`{"id": -1.5e3, "a\"b" : [ 1, {"x": "l\u200b\n深\ud83d\ude00y"}, [] ], "id": null}`;
const at = (...path: (string | number)[]) => {
  const { start, end } = locate(source, path);
  return source.slice(start, end);
};

describe("locate", () => {
  it("finds values by their path", () => {
    expect(at('a"b', 0)).toBe("1");
    expect(at('a"b', 1, "x")).toBe(String.raw`"l\u200b\n深\ud83d\ude00y"`);
    expect(at('a"b', 2)).toBe("[]");
    expect(at()).toBe(source);
  });

  it("takes the last of a repeated key, as JSON.parse does", () => expect(at("id")).toBe("null"));

  it("gives the place that a missing value should have", () => {
    expect(at('a"b', 1, "y")).toBe(String.raw`{"x": "l\u200b\n深\ud83d\ude00y"}`);
    expect(at('a"b', 3)).toBe(at('a"b'));
    expect(at("id", "z")).toBe("null");
  });

  it("counts an escape as the unit that it stands for", () => {
    const { start } = locate(source, ['a"b', 1, "x"]);
    const text = "l\u200b\n深😀y";
    expect(
      [..."l\u200b\n深"].map((_, index) => source.slice(offsetInString(source, start, index)).slice(0, 2)),
    ).toEqual(["l\\", "\\u", "\\n", "深\\"]);
    expect(source[offsetInString(source, start, text.indexOf("y"))]).toBe("y");
    expect(source[offsetInString(source, start, 99)]).toBe('"');
  });
});
