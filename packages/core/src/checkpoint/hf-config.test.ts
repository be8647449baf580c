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
      { type: "yarn", theta: 10_000, factor: 2, originalMaxPositions: 64 },
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
];

describe("inverseFrequencies", () => {
  it.each(FREQUENCIES)(
    "%s with theta %d and %d dimensions has PyTorch's bits %#",
    (type, theta, dim, more, digest, second) => {
      const { invFreq, attentionFactor } = inverseFrequencies({ type, theta, ...more }, dim);
      expect(invFreq).toHaveLength(dim / 2);
      expect(invFreq[1]).toBe(second);
      expect(createHash("sha256").update(new Uint8Array(invFreq.buffer)).digest("hex").slice(0, 16)).toBe(digest);
      expect(attentionFactor).toBe(1);
    },
  );

  it.each(["dynamic", "yarn"] as const)("refuses %s", (type) => {
    expect(() => inverseFrequencies({ type, theta: 1e4, factor: 2 }, 8)).toThrow(
      new InputError(`rope type ${type} is not supported yet`),
    );
  });
});
