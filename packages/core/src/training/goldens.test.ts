/** Training curves and schedules against the Hugging Face Trainer (reference results C). */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { adapterTensors, openAdapter } from "../checkpoint/peft.js";
import { openSafetensors, readTensorData, type TensorInfo } from "../checkpoint/safetensors.js";
import { collate } from "../data/collate.js";
import { loadCausalLm } from "../models/index.js";
import { createSchedule, SCHEDULES, type ScheduleName } from "../optim/schedule.js";
import { expectClose } from "../testing/all-close.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenDir, hasGoldens, readCase, readTensors, unpad } from "../testing/goldens.js";
import { argumentsFor } from "../testing/training-arguments.js";
import { train } from "./train.js";

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

const LORA = ["llama_lora_linear", "qwen2_lora_cosine", "bloom_lora_cosine_noclip"];
const FULL = ["qwen2_full_linear", "bloom_full_cosine_wd"];
const backends = await availableBackends();
// The plain backend is slow: one curve shows that it takes the same steps.
const cases = backends.flatMap((backend) =>
  [...LORA, ...FULL]
    .filter((name) => backend.name !== "js" || name === "qwen2_lora_cosine")
    .flatMap((name) =>
      [false, true].map((checkpointing) => ({
        name,
        checkpointing,
        backend: backend.name,
        create: () => backend.create(),
      })),
    ),
);
let compared = 0;

describe.skipIf(!hasGoldens)("training", () => {
  it.each(cases)(
    "follows the Trainer's curve for $name on $backend, gradient checkpointing $checkpointing",
    async ({ name, checkpointing, create }) => {
      const dir = goldenDir("C_training", name);
      const curve = readCase<Curve>(dir);
      const lora = LORA.includes(name);
      const backend = await create();
      const model = await loadCausalLm(join(dir, curve.base), { backend });
      if (lora) await model.loadAdapter(join(dir, "init_adapter"));
      else model.trainAll();
      const arena = model.arena as NonNullable<typeof model.arena>;
      const io = await readTensors(join(dir, "batches.safetensors"));
      const count = curve.max_steps * curve.gradient_accumulation_steps;
      const rows = Array.from(
        { length: count },
        (_, micro) => unpad(io, `micro.${String(micro).padStart(2, "0")}.`).rows,
      ).flat();
      const output = await mkdtemp(join(tmpdir(), "medgpt-curve-"));
      const { state } = await train(
        {
          arena,
          rows: rows.length,
          batch: (indices) => collate(indices.map((index) => rows[index] as (typeof rows)[number])),
          loss: (batch) => model.loss(batch, { recomputedLayers: checkpointing ? 1 : 0 }).nll,
          saveModel: () => Promise.resolve(),
          loadModel: () => Promise.resolve(),
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
        ? adapterTensors(await openAdapter(join(dir, "final_adapter")))
        : (await openSafetensors(join(dir, "final_weights.safetensors"))).tensors;
      for (const parameter of arena.parameters) {
        // A key bias has a gradient of rounding noise, which Adam's division blows up without effect on the loss.
        if (/(k_proj|query_key_value)\.bias$/.test(parameter.name)) continue;
        expectClose(await parameter.read(), await readTensorData(tensors.get(parameter.name) as TensorInfo), {
          absolute: 5e-5,
          relative: 0,
        });
      }
      compared++;
      await rm(output, { recursive: true });
      await backend.dispose();
    },
  );
});

it.skipIf(!hasGoldens)("compares every curve", () => {
  expect(compared).toBe(cases.length);
});

afterAll(() =>
  console.log(`compared ${compared} training curves by value on ${backends.map(({ name }) => name).join(", ")}`),
);

it.skipIf(!hasGoldens).each(SCHEDULES)("gives transformers' %s schedule", (type) => {
  const golden = readCase<{
    num_training_steps: number;
    num_warmup_steps: number;
    schedules: Record<string, { kwargs: Record<string, number>; lr_used_at_step: number[] }>;
  }>(goldenDir("C_training", "schedules"));
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
});
