import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import {
  inverseFrequencies,
  optionalBool,
  optionalInt,
  optionalNumber,
  readHfConfig,
  requireInt,
  ropeParameters,
  ropeReach,
  storedTorchDtype,
  tieWordEmbeddings,
  type HfConfig,
  type RopeParameters,
} from "./hf-config.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-config-"));
afterAll(() => rmSync(dir, { recursive: true }));

const config = (values: Record<string, unknown>): HfConfig => ({ path: "m/config.json", modelType: "llama", values });

describe("readHfConfig", () => {
  it.each([
    ["no file", undefined, /has no config\.json/],
    ["an array", "[]", /config\.json: expected a JSON object, got \[\]/],
    ["no model_type", "{}", /expected model_type to be a string/],
    ["broken JSON", '{\n  "a": 1,\n  b: 2\n}', /config\.json:3:3: is not valid JSON/],
  ])("refuses %s", async (_, text, message) => {
    rmSync(join(dir, "config.json"), { force: true });
    if (text !== undefined) writeFileSync(join(dir, "config.json"), text);
    const failure = await readHfConfig(dir).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).not.toContain("\n");
  });

  it("keeps every key", async () => {
    writeFileSync(join(dir, "config.json"), '{"model_type": "bloom", "n_layer": 2}');
    expect(await readHfConfig(dir)).toEqual({
      path: join(dir, "config.json"),
      modelType: "bloom",
      values: { model_type: "bloom", n_layer: 2 },
    });
  });
});

describe("typed getters", () => {
  it("read a value, an older name of it, or its absence", () => {
    const c = config({ n_layer: 3, num_layers: null, eos_token_id: 0, eps: 1e-6, bias: false });
    expect(requireInt(c, "num_layers", "n_layer")).toBe(3);
    expect(optionalInt(c, "eos_token_id")).toBe(0);
    expect(optionalInt(c, "num_layers")).toBeUndefined();
    expect(optionalNumber(c, "eps")).toBe(1e-6);
    expect(optionalBool(c, "bias")).toBe(false);
  });

  it.each([
    [
      () => requireInt(config({}), "hidden_size"),
      "m/config.json: expected hidden_size to be a positive integer, got nothing",
    ],
    [() => requireInt(config({ a: 0 }), "a"), "m/config.json: expected a to be a positive integer, got 0"],
    [
      () => requireInt(config({ a: "4" }), "a", "b"),
      'm/config.json: expected a or b to be a positive integer, got "4"',
    ],
    [() => optionalInt(config({ a: 1.5 }), "a"), "m/config.json: expected a to be an integer, got 1.5"],
    [() => optionalNumber(config({ a: true }), "a"), "m/config.json: expected a to be a number, got true"],
    [() => optionalBool(config({ a: 1 }), "a"), "m/config.json: expected a to be true or false, got 1"],
  ])("name file, key and value %#", (read, message) => {
    expect(read).toThrow(message);
  });

  it("know which families tie their head by default", () => {
    expect(tieWordEmbeddings(config({}))).toBe(false);
    expect(tieWordEmbeddings({ ...config({}), modelType: "bloom" })).toBe(true);
    expect(tieWordEmbeddings({ ...config({ tie_word_embeddings: false }), modelType: "gpt2" })).toBe(false);
  });

  it("read the stored dtype under both names", () => {
    expect(storedTorchDtype(config({ dtype: "bfloat16" }))).toBe("bfloat16");
    expect(storedTorchDtype(config({ torch_dtype: "torch.float16" }))).toBe("float16");
    expect(storedTorchDtype(config({}))).toBeUndefined();
  });
});

describe("ropeParameters", () => {
  const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 };
  const expected = {
    type: "llama3",
    theta: 5e5,
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositions: 16,
  };

  const yarn = { type: "yarn", betaFast: 32, betaSlow: 1, truncate: true };

  it.each([
    ["nothing", {}, { type: "default", theta: 10_000 }],
    ["the old default", { rope_theta: 1e6, rope_scaling: null }, { type: "default", theta: 1e6 }],
    [
      "the new default",
      { rope_parameters: { rope_type: "default", rope_theta: 1e6 } },
      { type: "default", theta: 1e6 },
    ],
    ["the oldest key", { rope_scaling: { type: "linear", factor: 4 } }, { type: "linear", theta: 10_000, factor: 4 }],
    ["old llama3", { rope_theta: 5e5, rope_scaling: { rope_type: "llama3", ...llama3 } }, expected],
    ["new llama3", { rope_parameters: { rope_type: "llama3", rope_theta: 5e5, ...llama3 } }, expected],
    [
      "yarn without its original length",
      { max_position_embeddings: 64, rope_parameters: { rope_type: "yarn", factor: 2 } },
      { ...yarn, theta: 10_000, factor: 2, originalMaxPositions: 64, attentionFactor: 0.1 * Math.log(2) + 1 },
    ],
    [
      "yarn with everything it may say, one key of which says nothing",
      {
        max_position_embeddings: 64,
        rope_scaling: {
          ...{ type: "yarn", factor: 4, original_max_position_embeddings: 16, beta_fast: 8, beta_slow: 2 },
          ...{ mscale: 0.7, mscale_all_dim: 1.4, truncate: false, finetuned: true },
        },
      },
      {
        ...{ type: "yarn", theta: 10_000, factor: 4, originalMaxPositions: 16, betaFast: 8, betaSlow: 2 },
        ...{ truncate: false, attentionFactor: (0.07 * Math.log(4) + 1) / (0.14 * Math.log(4) + 1) },
      },
    ],
    [
      "yarn without its factor, with its attention factor",
      {
        ...{ max_position_embeddings: 64, original_max_position_embeddings: 16 },
        rope_scaling: { rope_type: "yarn", attention_factor: 1.5, original_max_position_embeddings: 32 },
      },
      { ...yarn, theta: 10_000, factor: 4, originalMaxPositions: 16, attentionFactor: 1.5 },
    ],
    [
      "dynamic",
      { max_position_embeddings: 64, rope_scaling: { type: "dynamic", factor: 2 } },
      { type: "dynamic", theta: 10_000, factor: 2, originalMaxPositions: 64 },
    ],
    [
      "both layouts at once, of which the old one counts",
      { rope_scaling: { type: "linear", factor: 4 }, rope_parameters: { rope_type: "linear", factor: 2 } },
      { type: "linear", theta: 10_000, factor: 4 },
    ],
  ])("reads %s", (_, values, rope) => {
    expect(ropeParameters(config(values))).toEqual(rope);
  });

  it.each([
    [{ rope_scaling: { type: "linear" } }, /rope_scaling\.factor to be a positive number, got nothing/],
    [{ rope_scaling: "linear" }, /expected rope_scaling to be an object/],
    [{ rope_scaling: { type: "longrope" } }, /rope_type "longrope" is not supported/],
    [{ rope_theta: 0 }, /expected rope_theta to be a positive number, got 0/],
    [{ rope_parameters: { full_attention: {}, sliding_attention: {} } }, /differs by layer type/],
    [
      { rope_scaling: { type: "default", mrope_section: [2, 2] } },
      /config.json: rope_scaling.mrope_section is not supp/,
    ],
    [{ rope_parameters: { partial_rotary_factor: 0.5 } }, /rope_parameters.partial_rotary_factor 0.5 is not supported/],
    [{ rope_scaling: { type: "yarn", factor: 0 }, max_position_embeddings: 8 }, /rope_scaling.factor to be a positive/],
    [
      { rope_scaling: { type: "yarn", truncate: 1 }, max_position_embeddings: 8 },
      /truncate to be true or false, got 1/,
    ],
    [{ rope_scaling: { type: "dynamic", factor: 2 } }, /expected max_position_embeddings to be a positive integer/],
  ])("refuses %j", (values, message) => {
    expect(() => ropeParameters(config(values))).toThrow(message);
  });
});

/**
 * SHA-256 (first 16 digits) of the f32 bytes and the second frequency, from PyTorch 2.15 and transformers 5.23:
 * 1.0 / (theta ** (torch.arange(0, dim, 2).float() / dim)), and ROPE_INIT_FUNCTIONS for the other types.
 */
const mid = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 };
const short = { factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 16 };
const dynamic = { factor: 2, originalMaxPositions: 64 };
const yarn = { factor: 4, originalMaxPositions: 32_768 };
const fractions = { factor: 4, originalMaxPositions: 64, betaFast: 4, betaSlow: 2, truncate: false };
/** Tokens of the sequence in the cases of "dynamic". */
const LONGEST = 100;
const FREQUENCIES: [RopeParameters["type"], number, number, Partial<RopeParameters>, string, number][] = [
  ["default", 1e4, 8, {}, "47d9d469d9542448", 0.10000000149011612],
  ["default", 1e4, 64, {}, "734f9e6b629f7bac", 0.7498942017555237],
  ["default", 1e4, 128, {}, "4b659c349432de9f", 0.8659643530845642],
  ["default", 5e5, 8, {}, "ce8a6f67c5f352a7", 0.03760603070259094],
  ["default", 5e5, 64, {}, "74e0a468b5f62fef", 0.663601279258728],
  ["default", 5e5, 128, {}, "dde15c3172417735", 0.8146172165870667],
  ["default", 1e6, 8, {}, "c8a378ea2740c8a9", 0.03162277862429619],
  ["default", 1e6, 64, {}, "6d1e10125bd0468a", 0.6493816375732422],
  ["default", 1e6, 128, {}, "138c99b109d7affb", 0.8058422207832336],
  ["linear", 1e4, 64, { factor: 4 }, "4ed9cfc85f7a5bd8", 0.18747355043888092],
  ["linear", 1e4, 128, { factor: 2.5 }, "925438c8febb54a0", 0.34638574719429016],
  ["linear", 5e5, 128, { factor: 2.5 }, "6f367beb464c6be2", 0.3258468806743622],
  ["llama3", 1e4, 8, short, "1506c65a9697d456", 0.0031250000465661287],
  ["llama3", 1e4, 64, short, "626e1c6872fe798b", 0.24369439482688904],
  ["llama3", 1e4, 128, mid, "99c829167832aa22", 0.8659643530845642],
  ["llama3", 1e4, 128, short, "503209a25893bf3c", 0.3640655279159546],
  ["llama3", 5e5, 8, mid, "da7153d1e4d6a637", 0.03760603070259094],
  ["llama3", 5e5, 64, mid, "29fc7f650b240e44", 0.663601279258728],
  ["llama3", 5e5, 128, mid, "4ae2280930816279", 0.8146172165870667],
  ["llama3", 5e5, 128, short, "3da735d7fe675abb", 0.3080829381942749],
  ["dynamic", 1e4, 8, dynamic, "8d543fdd04bc8500", 0.07778222113847733],
  ["dynamic", 1e4, 64, dynamic, "e3cbd3d27b65b2b3", 0.731880247592926],
  ["dynamic", 1e4, 128, dynamic, "2482fa535c9727ed", 0.8556651473045349],
  ["dynamic", 5e5, 64, dynamic, "53ab70659ceb823b", 0.6476602554321289],
  ["dynamic", 1e6, 128, dynamic, "be29b30c2d4264e3", 0.7962580323219299],
  ["yarn", 1e4, 8, yarn, "d166b50bf184fa9d", 0.10000000149011612],
  ["yarn", 1e4, 128, yarn, "b5673818766a262d", 0.8659643530845642],
  ["yarn", 5e5, 64, yarn, "55f399093de71028", 0.663601279258728],
  ["yarn", 1e6, 64, yarn, "8fbd290c4fe4210f", 0.6493816375732422],
  ["yarn", 1e6, 128, yarn, "427ed49dc1d6e186", 0.8058422207832336],
  ["yarn", 1e4, 128, fractions, "52d914f016e319b0", 0.8659643530845642],
  ["yarn", 1e4, 64, { factor: 40, originalMaxPositions: 4096 }, "9db1d9af509a5a95", 0.7498942017555237],
];

describe("inverseFrequencies", () => {
  it.each(FREQUENCIES)(
    "%s with theta %d and %d dimensions has PyTorch's bits %#",
    (type, theta, dim, more, digest, second) => {
      const { invFreq, attentionFactor } = inverseFrequencies({ type, theta, ...more }, dim, LONGEST);
      expect(invFreq).toHaveLength(dim / 2);
      expect(invFreq[1]).toBe(second);
      expect(createHash("sha256").update(new Uint8Array(invFreq.buffer)).digest("hex").slice(0, 16)).toBe(digest);
      expect(attentionFactor).toBe(1);
    },
  );

  it("grow with the sequence where they are dynamic, and only beyond the original length", () => {
    const rope = { type: "dynamic", theta: 1e4, factor: 2, originalMaxPositions: 8 } as const;
    const plain = inverseFrequencies({ type: "default", theta: 1e4 }, 8).invFreq;
    expect(inverseFrequencies(rope, 8, 8).invFreq).toEqual(plain);
    expect(inverseFrequencies(rope, 8, 9).invFreq[3]).toBeLessThan(plain[3]!);
    expect(inverseFrequencies(rope, 8, 20).invFreq[3]).toBeLessThan(inverseFrequencies(rope, 8, 9).invFreq[3]!);
  });
});

describe("ropeReach", () => {
  const rope = (type: RopeParameters["type"], more: Partial<RopeParameters> = {}): RopeParameters => ({
    type,
    theta: 1e4,
    ...more,
  });

  it.each([
    ["the positions of the model", rope("default"), 64],
    ["as many times more as positions are closer", rope("linear", { factor: 2.5 }), 160],
    ["without end where they adapt", rope("dynamic", { factor: 2, originalMaxPositions: 64 }), undefined],
    ["the original length times the factor", rope("yarn", { factor: 4, originalMaxPositions: 32 }), 128],
    ["the positions of the model where those are more", rope("llama3", { factor: 8, originalMaxPositions: 4 }), 64],
  ])("is %s", (_, parameters, reach) => {
    expect(ropeReach(parameters, 64)).toBe(reach);
  });
});
