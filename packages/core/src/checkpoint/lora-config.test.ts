import { describe, expect, it } from "vitest";
import { checkTargets, loraRank, loraScale, resolveTargets, type LoraConfig, type LoraTargets } from "./lora-config.js";

const LINEARS = [0, 1, 11].flatMap((layer) =>
  ["self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"].map((name) => `model.layers.${layer}.${name}`),
);
const of = (layers: readonly number[], ...ends: readonly string[]): string[] =>
  LINEARS.filter(
    (name) => layers.some((layer) => name.includes(`.${layer}.`)) && ends.some((end) => name.endsWith(`.${end}`)),
  );

/** Each result is that of peft 0.21.2's check_target_module_exists over LINEARS. */
describe("resolveTargets", () => {
  it.each<[string, LoraTargets, string[]]>([
    ["every module", { target_modules: "all" }, LINEARS],
    ["names' ends from a dot on", { target_modules: ["q_proj", "proj"] }, of([0, 1, 11], "q_proj")],
    ["a whole name", { target_modules: ["model.layers.1.mlp.up_proj"] }, of([1], "up_proj")],
    ["a pattern for whole names", { target_modules: ".*\\.1\\..*" }, of([1], "q_proj", "v_proj", "up_proj")],
    ["some layers", { target_modules: ["q_proj"], layers_to_transform: [1] }, of([1], "q_proj")],
    [
      "some layers of a list of that name",
      { target_modules: ["q_proj"], layers_to_transform: [0, 11], layers_pattern: ["blocks", "layers"] },
      of([0, 11], "q_proj"),
    ],
    [
      "whole names whatever the layers",
      { target_modules: ["model.layers.0.mlp.up_proj", "q_proj"], layers_to_transform: [1] },
      [...of([0], "up_proj"), ...of([1], "q_proj")],
    ],
    [
      "all but some",
      { target_modules: "all", exclude_modules: ["v_proj", "model.layers.0.mlp.up_proj"] },
      [...of([0], "q_proj"), ...of([1, 11], "q_proj", "up_proj")],
    ],
    ["all but a pattern", { target_modules: ["q_proj"], exclude_modules: ".*layers\\.1{2}.*" }, of([0, 1], "q_proj")],
    [
      "nothing that is saved whole",
      { target_modules: ["q_proj", "v_proj"], modules_to_save: ["q_proj", "layers.11"] },
      of([0, 1], "v_proj"),
    ],
  ])("finds %s", (_, config, modules) => {
    expect([...resolveTargets(config, LINEARS)].sort()).toEqual([...modules].sort());
  });

  it.each<[string, LoraTargets]>([
    ["a list of another name", { target_modules: ["q_proj"], layers_to_transform: [1], layers_pattern: ["h"] }],
    ["a layer that is not there", { target_modules: ["q_proj"], layers_to_transform: [7] }],
    ["a pattern for a part of names", { target_modules: "q_proj" }],
  ])("refuses %s, which finds nothing", (_, config) => {
    expect(() => resolveTargets(config, LINEARS)).toThrow(/^target_modules: no linear module is called "q_proj"; this/);
  });

  it.each(["(", "(?P<side>[qv])_proj"])("refuses what is no pattern of JavaScript: %s", (target_modules) => {
    expect(() => resolveTargets({ target_modules }, LINEARS)).toThrow(
      `target_modules: "${target_modules}" is no regular expression (`,
    );
  });
});

it("checkTargets refuses a name that no module has, beside others that modules have", () => {
  expect(() => checkTargets({ target_modules: ["q_proj", "k_proj"] }, LINEARS)).toThrow(/is called "k_proj"/);
  checkTargets({ target_modules: ["q_proj", "up_proj"] }, LINEARS);
});

/** Each result is that of peft 0.21.2's get_pattern_key. */
describe("rank_pattern and alpha_pattern", () => {
  const config: LoraConfig = {
    ...{ r: 4, lora_alpha: 8, lora_dropout: 0, target_modules: "all", use_rslora: false, modules_to_save: [] },
    rank_pattern: { "layers\\.1\\..*": 2, q_proj: 16 },
    alpha_pattern: { "^model.layers.0.mlp.up_proj": 24, proj: 99 },
  };

  it.each([
    ["model.layers.0.self_attn.q_proj", 16, 0.5],
    ["model.layers.1.self_attn.q_proj", 2, 4],
    ["model.layers.11.self_attn.v_proj", 4, 2],
    ["model.layers.0.mlp.up_proj", 4, 6],
  ])("give %s rank %d and scale %d", (module, rank, scale) => {
    expect(loraRank(config, module)).toBe(rank);
    expect(loraScale(config, module)).toBe(scale);
    expect(loraScale({ ...config, use_rslora: true }, module)).toBeCloseTo(scale * Math.sqrt(rank), 12);
  });
});
