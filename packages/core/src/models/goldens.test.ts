/** Models and adapters against transformers and PEFT (reference results A and B). */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openSafetensors, readTensorData } from "../checkpoint/safetensors.js";
import { collate } from "../data/packing/collate.js";
import { suffixes } from "../checkpoint/lora-config.js";
import { expectClose } from "../testing/all-close.js";
import { compareAdapter, compareModel, logitsOf } from "../testing/compare-goldens.js";
import { backendsOfEachInstructionSet } from "../testing/each-backend.js";
import { openTrained } from "../testing/open-trained.js";
import {
  goldenCases,
  goldenDir,
  goldenModels,
  hasGoldens,
  readCase,
  readTensors,
  unpad,
  type Matrix,
} from "../testing/goldens.js";
import { loadCausalLm, type CausalLm } from "./role.js";
import { openBase } from "./base.js";
import { families } from "./families.js";

const typeOf = (dir: string): string => readCase<{ model_type: string }>(dir, "config.json").model_type;
const isKnown = (dir: string): boolean => families.some(({ modelType }) => modelType === typeOf(dir));
const [MODELS, EXEMPT] = [true, false].map((known) =>
  goldenModels().filter((name) => isKnown(goldenDir("A_models", name)) === known),
) as [string[], string[]];
/** Variants of a model's config.json. */
const ROPE = goldenCases("A_models", "variants").flatMap((folder) =>
  Object.keys(readCase<RopeCase>(goldenDir("A_models", folder)).variants).map((variant) => ({ folder, variant })),
);
const ADAPTERS = goldenCases("B_lora", "base").filter((name) =>
  isKnown(goldenDir("B_lora", name, readCase<AdapterCase>(goldenDir("B_lora", name)).base)),
);

const LOGITS = { absolute: 1e-4, relative: 0 };

const backends = backendsOfEachInstructionSet();
const root = mkdtempSync(join(tmpdir(), "medgpt-goldens-"));
afterAll(() => rmSync(root, { recursive: true }));
const compared = { model: 0, rope: 0, adapter: 0 };

describe.skipIf(!hasGoldens).each(backends)("on $name", ({ name: backendName, create }) => {
  it.each(MODELS)("gives the loss and logits of transformers for %s", async (name) => {
    const backend = await create();
    const source = readCase<{ same_outputs_as?: string }>(goldenDir("A_models", name)).same_outputs_as ?? name;
    const tensors = await compareModel(backend, goldenDir("A_models", name), goldenDir("A_models", source));
    // Some cases do not have the rows padded on the left.
    for (const key of ["left_last_logits", "left_last_logits_position_ids"])
      expect(tensors.has(key), key).toBe(tensors.has("left_input_ids"));
    compared.model++;
    await backend.dispose();
  });

  it.each(ROPE)(
    "gives the logits of transformers for scaled positions: $variant",
    async ({ folder, variant: name }) => {
      const dir = goldenDir("A_models", folder);
      const { base, variants } = readCase<RopeCase>(dir);
      const { config_overrides, inv_freq, attention_scaling } = variants[name] as RopeVariant;
      const backend = await create();
      const model = await loadCausalLm(withConfig(join(dir, base), config_overrides), { backend });
      const io = await readTensors(join(dir, "io.safetensors"));
      const { rows } = unpad(io);
      const positions = model.options.positions as Extract<typeof model.options.positions, { kind: "rope" }>;
      expect([...positions.frequencies(rows[0]?.ids.length ?? 0)]).toEqual(inv_freq);
      expect(positions.factor).toBeCloseTo(attention_scaling, 12);
      const { data } = io.get(`logits.${name}`) as Matrix;
      const values = await logitsOf(model, collate(rows));
      expectClose(values.subarray(values.length - data.length), data, LOGITS);
      compared.rope++;
      await backend.dispose();
    },
  );

  it.each(ADAPTERS)("gives the loss, logits and gradients of PEFT for %s", async (name) => {
    const backend = await create();
    const { model, io, lastLogits } = await compareAdapter(backend, goldenDir("B_lora", name));
    // The first row has no padding: its last column is a real token. Merging moves it by rounding alone.
    for (const key of ["logits_last_column", "merged_logits_last_column"])
      expectClose(lastLogits, (io.get(key) as Matrix).data.subarray(0, lastLogits.length), LOGITS);
    const merged = [...io.keys()].find((key) => key.startsWith("merged.")) as string;
    expectClose(await mergedWeight(model, merged.slice("merged.".length)), (io.get(merged) as Matrix).data, {
      absolute: 1e-6,
      relative: 1e-6,
    });
    compared.adapter++;
    await backend.dispose();
  });

  it.each(ADAPTERS)("writes the files of PEFT for %s", async (name) => {
    const dir = goldenDir("B_lora", name);
    const { base } = readCase<AdapterCase>(dir);
    const backend = await create();
    const { trained } = await openTrained(join(dir, base), dir, { backend });
    const written = mkdtempSync(join(root, `${name}-${backendName}-`));
    const stored = readJson(join(dir, "adapter_config.json"));
    await trained.save(written, stored["base_model_name_or_path"] as string);
    expect(readJson(join(written, "adapter_config.json"))).toEqual(stored);
    expect(await contents(written)).toEqual(await contents(dir));
    await backend.dispose();
  });

  it.each(ADAPTERS)("finds the modules of --target_modules all in the base of %s", async (name) => {
    const dir = goldenDir("B_lora", name);
    const { base, medicalgpt_all_targets } = readCase<AdapterCase>(dir);
    const backend = await create();
    const { linears, config } = await openBase(join(dir, base), { backend });
    // On purpose: MedicalGPT looks for torch.nn.Linear, which GPT-2 has not, and then trains nothing.
    const expected = config.modelType === "gpt2" ? ["c_attn", "c_fc", "c_proj"] : medicalgpt_all_targets;
    expect(suffixes(linears)).toEqual(expected);
    if (config.modelType === "gpt2") expect(medicalgpt_all_targets).toEqual([]);
    await backend.dispose();
  });
});

it.skipIf(!hasGoldens)("compares every case on every backend", () => {
  const counts = { model: MODELS.length, rope: ROPE.length, adapter: ADAPTERS.length };
  expect(counts.model).toBeGreaterThan(0);
  expect(counts.adapter).toBeGreaterThan(0);
  for (const kind of ["model", "rope", "adapter"] as const)
    expect(compared[kind], kind).toBe(counts[kind] * backends.length);
});

afterAll(() =>
  console.log(
    `compared ${compared.model} model, ${compared.rope} position and ${compared.adapter} adapter cases by value on ${backends.map(({ name }) => name).join(", ")}; exempt: ${EXEMPT.join(", ")}`,
  ),
);

interface RopeVariant {
  readonly config_overrides: Record<string, unknown>;
  readonly inv_freq: number[];
  readonly attention_scaling: number;
}

interface RopeCase {
  readonly base: string;
  readonly variants: Readonly<Record<string, RopeVariant>>;
}

interface AdapterCase {
  readonly base: string;
  readonly loss: number;
  readonly medicalgpt_all_targets: string[];
}

function readJson(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
}

/** A copy of a model with other values in its config.json. */
function withConfig(base: string, values: Record<string, unknown>): string {
  const dir = mkdtempSync(join(root, "model-"));
  copyFileSync(join(base, "model.safetensors"), join(dir, "model.safetensors"));
  writeFileSync(join(dir, "config.json"), JSON.stringify({ ...readJson(join(base, "config.json")), ...values }));
  return dir;
}

/** A weight with its adapter folded in: W + scale * B A, as the model stores W. */
async function mergedWeight(model: CausalLm, name: string): Promise<Float64Array> {
  const lora = model.loras(name.replace(/\.weight$/, ""))[0]!;
  const weight = Float64Array.from(await model.weight(name).read());
  const [a, b] = [await lora.a.read(), await lora.b.read()];
  const [rank, width] = lora.a.shape as [number, number];
  const out = lora.b.shape[0] as number;
  for (let o = 0; o < out; o++)
    for (let i = 0; i < width; i++) {
      let delta = 0;
      for (let r = 0; r < rank; r++) delta += (b[o * rank + r] as number) * (a[r * width + i] as number);
      const at = model.options.fanInFanOut ? i * out + o : o * width + i;
      weight[at] = (weight[at] as number) + lora.scale * delta;
    }
  return weight;
}

/** Every tensor of an adapter's file. */
async function contents(dir: string): Promise<Record<string, { shape: readonly number[]; data: readonly number[] }>> {
  const { tensors } = await openSafetensors(join(dir, "adapter_model.safetensors"));
  const entries = [...tensors].map(
    async ([name, info]) => [name, { shape: info.shape, data: [...(await readTensorData(info))] }] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}
