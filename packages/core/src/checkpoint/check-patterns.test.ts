import { describe, expect, it } from "vitest";
import { checkPatterns } from "./check-patterns.js";

const names = Array.from({ length: 200 }, (_, layer) => `model.layers.${layer}.self_attn.q_proj`);

describe("checkPatterns", () => {
  it("passes what is written for names of modules", () => {
    expect(() =>
      checkPatterns("target_modules", [".*q_proj|.*up_proj", String.raw`.*\.layers\.(1|2)\..*`], names),
    ).not.toThrow();
  });

  it("refuses what is no regular expression", () => {
    expect(() => checkPatterns("target_modules", ["(q_proj"], names)).toThrow(
      /^target_modules: "\(q_proj" is no regular expression \(/,
    );
  });

  it("stops a pattern that would take for ever", () => {
    expect(() => checkPatterns("target_modules", ["(([a-z]|[._0-9])+)+!"], names)).toThrow(
      'target_modules: "(([a-z]|[._0-9])+)+!" takes more than 1 s to match; write it without nested repetitions',
    );
  });
});
