import { describe, expect, it } from "vitest";
import { scanJson } from "./scan-json.js";

describe("scanJson", () => {
  it.each([
    ["{}", undefined],
    [' {"a": [1, -2.5e-3, true, null, "x\\u00e9\\n"], "b": {"a": {}}} ', undefined],
    ['"text"', undefined],
    ["[[[]]]", undefined],
    ['{"a":}', 5],
    ['{"a" 1}', 5],
    ['{"a":1,}', 7],
    ["[1,]", 3],
    ["[1 2]", 3],
    ["{a:1}", 1],
    ['{"a":1', 6],
    ['{"a":1}}', 7],
    ['{"a":"b\nc"}', 7],
    ['{"a":"\\x"}', 6],
    ['["open', 6],
    ["", 0],
    ["01", 1],
    ["[nul]", 1],
    ["]", 0],
  ])("finds where %j stops being JSON, and agrees with JSON.parse", (text, errorAt) => {
    expect(scanJson(text).errorAt).toBe(errorAt);
    if (errorAt === undefined) expect(() => JSON.parse(text) as unknown).not.toThrow();
    else expect(() => JSON.parse(text) as unknown).toThrow();
  });

  it.each([
    ['{"a":1,"b":2,"a":3}', "a"],
    ['{"x":{"\\u0061":1,"a":2}}', "a"],
    ['[{"a":1},{"a":1}]', undefined],
    ['{"a":{"a":1}}', undefined],
  ])("reports a key that %j repeats", (text, key) => {
    expect(scanJson(text).duplicateKey).toBe(key);
  });

  it("takes any nesting depth", () => {
    const depth = 200_000;
    expect(scanJson("[".repeat(depth) + "]".repeat(depth)).errorAt).toBeUndefined();
  });
});
