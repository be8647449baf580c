import { describe, expect, it } from "vitest";
import { repeatsItself } from "./repeats-itself.js";

const times = (piece: readonly number[], count: number): number[] => Array.from({ length: count }, () => piece).flat();
const range = (length: number): number[] => Array.from({ length }, (_, index) => index + 100);

describe("an answer that repeats itself", () => {
  it.each([
    ["one token", [9, 8, ...times([5], 60)]],
    ["a phrase", [9, 8, ...times([5, 6, 5, 7], 15)]],
    ["a paragraph", [9, 8, ...times(range(64), 6)]],
  ])("is one whose newest tokens are %s many times over", (_, tokens) => {
    expect(repeatsItself(tokens)).toBe(true);
    expect(repeatsItself(tokens.slice(0, -1))).toBe(false);
    expect(repeatsItself([...tokens, 1])).toBe(false);
  });

  it.each([
    ["nothing", []],
    ["long without repeating", range(500)],
    ["a list with numbers", Array.from({ length: 100 }, (_, index) => [1, index + 10, 2, 3]).flat()],
    ["a piece that is too long", times(range(65), 9)],
  ])("is not %s", (_, tokens) => {
    expect(repeatsItself(tokens)).toBe(false);
  });
});
