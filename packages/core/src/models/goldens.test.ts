/** Models and adapters against transformers and PEFT (reference results A and B). */
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { collate, labelCount } from "../data/collate.js";
import { sum } from "../ops/index.js";
import { backward, noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { expectClose } from "../testing/all-close.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenDir, hasGoldens, readCase, readTensors, unpad, type Matrix } from "../testing/goldens.js";
import { loadCausalLm } from "./causal-lm.js";

const MODELS = ["bloom", "bloom_hub_layout", "llama", "llama3_rope", "llama_bf16", "qwen2", "qwen2_sharded"];
const ADAPTERS = [
  "bloom_medicalgpt_all",
  "llama_all_linear",
  "llama_modules_to_save",
  "qwen2_q_v",
  "qwen2_tied_modules_to_save",
];

const backends = await availableBackends();
let compared = 0;

describe.skipIf(!hasGoldens).each(backends)("on $name", ({ create }) => {
  it.each(MODELS)("gives the loss and logits of transformers for %s", async (name) => {
    const dir = goldenDir("A_models", name);
    const source = name === "bloom_hub_layout" ? goldenDir("A_models", "bloom") : dir;
    const backend = await create();
    const model = await loadCausalLm(dir, { backend });
    const io = await readTensors(join(source, "io.safetensors"));
    const { rows, places } = unpad(io);
    const batch = collate(rows);
    const [hidden, logits, loss] = scope(() =>
      noGrad(() => {
        const hidden = model.forward(batch);
        return [hidden, model.logits(hidden), sum(model.loss(batch).nll, 1 / labelCount(batch))] as const;
      }),
    );
    expectClose(await hidden.read(), pick(io, "last_hidden_state", places), { absolute: 1e-4, relative: 0 });
    expectClose(await logits.read(), pick(io, "logits", places), { absolute: 1e-4, relative: 0 });
    expect(await loss.item()).toBeCloseTo(readCase<{ loss: number }>(source).loss, 5);
    for (const left of io.has("left_input_ids") ? ["left_last_logits", "left_last_logits_position_ids"] : []) {
      const last = rows.map((_, row) => (batch.segments[row + 1] as number) - 1);
      const { data, shape } = io.get(left) as Matrix;
      const width = shape[1] as number;
      const ours = (await logits.read()) as Float32Array;
      last.forEach((token, row) =>
        expectClose(ours.subarray(token * width, (token + 1) * width), data.slice(row * width, (row + 1) * width), {
          absolute: 1e-4,
          relative: 0,
        }),
      );
    }
    compared++;
    await backend.dispose();
  });

  it.each(ADAPTERS)("gives the loss, logits and gradients of PEFT for %s", async (name) => {
    const dir = goldenDir("B_lora", name);
    const { base, loss } = readCase<{ base: string; loss: number }>(dir);
    const backend = await create();
    const model = await loadCausalLm(join(dir, base), { backend });
    await model.loadAdapter(dir);
    const io = await readTensors(join(dir, "io.safetensors"));
    const { rows, places } = unpad(io);
    const batch = collate(rows);
    const ours = scope(() => sum(model.loss(batch).nll, 1 / labelCount(batch)));
    const logits = scope(() => noGrad(() => model.logits(model.forward(batch))));
    expect(await ours.item()).toBeCloseTo(loss, 5);
    const { data: row0, shape } = io.get("logits_row0") as Matrix;
    const values = (await logits.read()) as Float32Array;
    const real = (rows[0]?.ids.length ?? 0) * (shape[1] as number);
    expect(places.length).toBeGreaterThan(0);
    expectClose(values.subarray(0, real), row0.subarray(0, real), { absolute: 1e-4, relative: 0 });
    backward(ours);
    const parameters = model.arena?.parameters ?? [];
    expect(parameters.length).toBe([...io.keys()].filter((key) => key.startsWith("grad.")).length);
    for (const parameter of parameters) {
      const key = `grad.base_model.model.${peftName(parameter.name)}`;
      expectClose(await parameter.grad.read(), (io.get(key) as Matrix).data, { absolute: 1e-5, relative: 1e-3 });
    }
    compared++;
    await backend.dispose();
  });
});

it.skipIf(!hasGoldens)("compares every case on every backend", () => {
  expect(compared).toBe((MODELS.length + ADAPTERS.length) * backends.length);
});

afterAll(() =>
  console.log(
    `compared ${compared} model and adapter cases by value on ${backends.map(({ name }) => name).join(", ")}`,
  ),
);

/** Rows of a padded (batch, width, size) tensor at the real tokens. */
function pick(io: ReadonlyMap<string, Matrix>, name: string, places: readonly number[]): Float32Array {
  const { data, shape } = io.get(name) as Matrix;
  const size = shape[2] as number;
  const out = new Float32Array(places.length * size);
  places.forEach((place, row) => out.set(data.subarray(place * size, (place + 1) * size), row * size));
  return out;
}

/** The live name of a parameter in PEFT: ".default" before a factor's "weight", and saved modules in a wrapper. */
function peftName(name: string): string {
  if (name.includes(".lora_")) return name.replace(/\.weight$/, ".default.weight");
  return name.replace(/\.weight$/, ".modules_to_save.default.weight");
}
