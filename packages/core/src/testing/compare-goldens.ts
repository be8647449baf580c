/** What every set of reference results is compared by: a model, an adapter, a training curve and the schedules, each in a folder. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { Backend } from "../backends/backend.js";
import { adapterTensors, openAdapterFiles } from "../checkpoint/peft.js";
import { openSafetensors, readTensorData, type TensorInfo } from "../checkpoint/safetensors.js";
import { collate, labelCount } from "../data/packing/collate.js";
import { loadCausalLm, tokenLoss, type CausalLm } from "../models/index.js";
import type { Batch } from "../data/packing/batch.js";
import { sum } from "../ops/index.js";
import { createSchedule, type ScheduleName } from "../optim/schedule.js";
import { backward, noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { trainRows } from "../training/train-rows.js";
import { expectClose } from "./all-close.js";
import { openTrained } from "./open-trained.js";
import { readCase, readTensors, unpad, type Matrix } from "./goldens.js";
import { argumentsFor } from "./training-arguments.js";

const CLOSE = { absolute: 1e-4, relative: 0 };

/**
 * Compares loss, logits and last hidden states with transformers'.
 * @param source the folder with io.safetensors and case.json, where it is not the model's
 * @returns the names of the reference tensors
 */
export async function compareModel(backend: Backend, dir: string, source = dir): Promise<ReadonlySet<string>> {
  const model = await loadCausalLm(dir, { backend });
  const io = await readTensors(join(source, "io.safetensors"));
  const { rows, places } = unpad(io);
  const batch = collate(rows);
  const [hidden, logits, loss] = scope(() =>
    noGrad(() => {
      const hidden = model.forward(batch);
      return [hidden, model.head.logits(hidden), sum(tokenLoss(model, batch).nll, 1 / labelCount(batch))] as const;
    }),
  );
  expectClose(await hidden.read(), pick(io, "last_hidden_state", places), CLOSE);
  const values = (await logits.read()) as Float32Array;
  expectClose(values, pick(io, "logits", places), CLOSE);
  expect(await loss.item()).toBeCloseTo(readCase<{ loss: number }>(source).loss, 5);

  const expectLast = (ours: Float32Array, key: string): void => {
    const { data, shape } = io.get(key) as Matrix;
    const width = shape[1] as number;
    rows.forEach((_, row) => {
      const token = (batch.segments[row + 1] as number) - 1;
      const last = ours.subarray(token * width, (token + 1) * width);
      expectClose(last, data.subarray(row * width, (row + 1) * width), CLOSE);
    });
  };
  if (io.has("left_last_logits_position_ids")) expectLast(values, "left_last_logits_position_ids");
  // Without position_ids transformers counts the padding on the left as positions.
  if (io.has("left_last_logits"))
    expectLast(await logitsOf(model, { ...batch, positions: slots(io, batch) }), "left_last_logits");
  return new Set(io.keys());
}

export async function logitsOf(model: CausalLm, batch: Batch): Promise<Float32Array> {
  const logits = scope(() => noGrad(() => model.head.logits(model.forward(batch))));
  const values = (await logits.read()) as Float32Array;
  logits.dispose();
  return values;
}

/** Columns of the tokens in the padded batch with the padding on the left. */
function slots(io: ReadonlyMap<string, Matrix>, { positions, segments }: Batch): Int32Array {
  const width = (io.get("left_input_ids") as Matrix).shape[1] as number;
  const shifted = positions.slice();
  for (let row = 0; row + 1 < segments.length; row++) {
    const [from, to] = [segments[row] as number, segments[row + 1] as number];
    for (let token = from; token < to; token++) shifted[token] = width - to + token;
  }
  return shifted;
}

/** Compares loss, logits and the gradient of every trained tensor with PEFT's; what it compared may be compared further. */
export async function compareAdapter(
  backend: Backend,
  dir: string,
): Promise<{ model: CausalLm; io: ReadonlyMap<string, Matrix>; lastLogits: Float32Array }> {
  const { base, loss } = readCase<{ base: string; loss: number }>(dir);
  const { model, arena } = await openTrained(join(dir, base), dir, { backend });
  const io = await readTensors(join(dir, "io.safetensors"));
  const { rows, places } = unpad(io);
  const batch = collate(rows);
  const ours = scope(() => sum(tokenLoss(model, batch).nll, 1 / labelCount(batch)));
  const values = await logitsOf(model, batch);
  expect(await ours.item()).toBeCloseTo(loss, 5);
  const { data: row0, shape } = io.get("logits_row0") as Matrix;
  const width = shape[1] as number;
  const real = (rows[0]?.ids.length ?? 0) * width;
  expect(places.length).toBeGreaterThan(0);
  expectClose(values.subarray(0, real), row0.subarray(0, real), CLOSE);
  backward(ours);
  const { parameters } = arena;
  expect(parameters.length).toBe([...io.keys()].filter((key) => key.startsWith("grad.")).length);
  for (const parameter of parameters) {
    const key = `grad.base_model.model.${peftName(parameter.name)}`;
    expectClose(await parameter.grad.read(), (io.get(key) as Matrix).data, { absolute: 1e-5, relative: 1e-3 });
  }
  return { model, io, lastLogits: values.subarray(real - width, real) };
}

interface Curve {
  readonly base: string;
  readonly optimizer: { readonly weight_decay: number; readonly lr: number };
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly max_steps: number;
  readonly max_grad_norm: number;
  readonly per_device_batch: number;
  readonly gradient_accumulation_steps: number;
  readonly steps: readonly { readonly loss: number; readonly grad_norm: number; readonly learning_rate: number }[];
}

/** Takes the Trainer's steps on its micro-batches, and compares what it logged and the weights it ended with. */
export async function compareCurve(
  backend: Backend,
  dir: string,
  { lora, checkpointing }: { lora: boolean; checkpointing: boolean },
): Promise<void> {
  const curve = readCase<Curve>(dir);
  const start = lora ? join(dir, "init_adapter") : "all";
  const { model, arena } = await openTrained(join(dir, curve.base), start, { backend });
  const io = await readTensors(join(dir, "batches.safetensors"));
  const count = curve.max_steps * curve.gradient_accumulation_steps;
  const rows = Array.from(
    { length: count },
    (_, micro) => unpad(io, `micro.${String(micro).padStart(2, "0")}.`).rows,
  ).flat();
  const output = await mkdtemp(join(tmpdir(), "medgpt-curve-"));
  const { state } = await trainRows(
    {
      arena,
      rows: rows.length,
      batch: (indices) => collate(indices.map((index) => rows[index] as (typeof rows)[number])),
      loss: (batch) => tokenLoss(model, batch, { recomputedLayers: checkpointing ? 1 : 0 }).nll,
      saveModel: () => Promise.resolve(),
      loadModel: () => Promise.resolve(),
      weight: labelCount,
      computeParameters: 0,
    },
    argumentsFor(output, {
      max_steps: curve.max_steps,
      per_device_train_batch_size: curve.per_device_batch,
      gradient_accumulation_steps: curve.gradient_accumulation_steps,
      learning_rate: curve.optimizer.lr,
      weight_decay: curve.optimizer.weight_decay,
      lr_scheduler_type: curve.schedule,
      warmup_steps: curve.warmup,
      max_grad_norm: curve.max_grad_norm,
    }),
    { log: () => undefined },
  );
  await rm(output, { recursive: true });
  const logged = (key: string) => state.log_history.slice(0, curve.max_steps).map((row) => row[key] as number);
  expectClose(
    logged("loss"),
    curve.steps.map(({ loss }) => loss),
    { absolute: 5e-5, relative: 0 },
  );
  expectClose(
    logged("grad_norm"),
    curve.steps.map((step) => step.grad_norm),
    { absolute: 0, relative: 5e-4 },
  );
  expectClose(
    logged("learning_rate"),
    curve.steps.map((step) => step.learning_rate),
    { absolute: 1e-9, relative: 0 },
  );
  const tensors: ReadonlyMap<string, TensorInfo> = lora
    ? adapterTensors(await openAdapterFiles(join(dir, "final_adapter")))
    : (await openSafetensors(join(dir, "final_weights.safetensors"))).tensors;
  for (const parameter of arena.parameters) {
    // A key bias has a gradient of rounding noise, which Adam's division blows up without effect on the loss.
    if (/(k_proj|query_key_value)\.bias$/.test(parameter.name)) continue;
    expectClose(await parameter.read(), await readTensorData(tensors.get(parameter.name) as TensorInfo), {
      absolute: 5e-5,
      relative: 0,
    });
  }
}

/** Compares the learning rate of every step with transformers'. */
export function compareSchedule(dir: string, type: ScheduleName): void {
  const golden = readCase<{
    num_training_steps: number;
    num_warmup_steps: number;
    schedules: Record<string, { kwargs: Record<string, number>; lr_used_at_step: number[] }>;
  }>(dir);
  const expected = golden.schedules[type];
  const schedule = createSchedule({
    type,
    learningRate: 1,
    warmupSteps: golden.num_warmup_steps,
    totalSteps: golden.num_training_steps,
    kwargs: expected?.kwargs ?? {},
  });
  expectClose(
    Array.from({ length: golden.num_training_steps }, (_, step) => schedule(step)),
    expected?.lr_used_at_step ?? [],
    { absolute: 1e-7, relative: 0 },
  );
}

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
