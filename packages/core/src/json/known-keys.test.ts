import { InputError } from "@medgpt/artifacts";
import { describe, expect, it } from "vitest";
import { checkKeys, type KeyTable } from "./known-keys.js";

const TABLE: KeyTable = {
  acted: ["size"],
  inert: ["note"],
  idle: { scale: [1], heat: [0, 1] },
  refused: {
    experts: { idle: [0], why: "there are none" },
    is_causal: { idle: (value) => value === true, why: "it is" },
  },
};

function check(values: Record<string, unknown>): string[] {
  const said: string[] = [];
  checkKeys(values, TABLE, "m/config.json", (line) => said.push(line));
  return said;
}

describe("the keys of a file", () => {
  it.each([
    { size: 3, note: "x", experts: 0, is_causal: true, scale: 1, heat: 0 },
    { unknown: null, other: false, list: [], object: {}, experts: null, is_causal: null },
    { experts: false, scale: null },
  ])("in %j ask for nothing that is not done", (values) => {
    expect(check(values)).toEqual([]);
  });

  it.each([
    [{ unknown: 0 }, '"unknown" is 0'],
    [{ unknown: 1.0 }, '"unknown" is 1'],
    [{ unknown: "" }, '"unknown" is ""'],
    [{ scale: 2 }, '"scale" is 2'],
    [{ "a\nb": true }, '"a\\nb" is true'],
    [{ hasOwnProperty: 1 }, '"hasOwnProperty" is 1'],
  ])("in %j are named", (values, what) => {
    expect(check(values)).toEqual([`m/config.json: ${what}, which is not known here and not acted on`]);
  });

  it.each([
    [{ experts: 8 }, "experts 8 is not supported: there are none"],
    [{ is_causal: false }, "is_causal false is not supported: it is"],
  ])("in %j are refused", (values, message) => {
    expect(() => check(values)).toThrow(new InputError(message, { place: "m/config.json" }));
  });

  it("are counted where they are very many", () => {
    const said = check(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`key${i}`, i])));
    expect(said).toHaveLength(21);
    expect(said.at(-1)).toBe("m/config.json: 980 more keys are not known here and not acted on");
  });
});
