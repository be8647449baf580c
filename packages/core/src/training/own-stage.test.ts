/**
 * A stage with a batch, a loss and a metric of its own, made of the pieces that this folder exports: pairs of texts, of
 * which the first is to score higher (a reward model, on counted words). It trains, evaluates, saves and resumes, in one
 * process and in two.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createJsBackend } from "../backends/js/js-backend.js";
import { openSafetensors, readTensorData, writeSafetensors } from "../checkpoint/safetensors.js";
import { seededRandom } from "../numeric/seeded-random.js";
import { createArena } from "../nn/parameters.js";
import { linear } from "../ops/index.js";
import type { Communicator, RunEvent } from "../run/index.js";
import { tensor, type Tensor } from "../tensor/tensor.js";
import { expectClose } from "../testing/all-close.js";
import { processes } from "../testing/processes.js";
import { argumentsFor } from "../testing/training-arguments.js";
import { evaluate, trainRows, type TrainingArguments } from "./index.js";

const WORDS = 12;
const PAIRS = 7;

/** A micro-batch: for each pair, how much more often each word is in the better text. */
interface PairBatch {
  readonly ids: Int32Array;
  /** (pairs, words) */
  readonly differences: Float32Array;
  readonly pairs: number;
}

const random = seededRandom(3);
const pairs = Array.from({ length: PAIRS }, () =>
  Float32Array.from({ length: WORDS }, () => Math.round(4 * random()) - 2),
);

const rows = {
  rows: PAIRS,
  batch: (indices: readonly number[]): PairBatch => ({
    ids: new Int32Array(indices.length * WORDS),
    differences: Float32Array.from(indices.flatMap((index) => [...pairs[index]!])),
    pairs: indices.length,
  }),
};

/** The sum of -log sigmoid(margin), and its gradient. */
function pairwiseLoss(margins: Float32Array): { loss: number; gradient: Float32Array } {
  return {
    loss: margins.reduce((total, margin) => total + Math.log1p(Math.exp(-margin)), 0),
    gradient: margins.map((margin) => -1 / (1 + Math.exp(margin))),
  };
}

/** A score a word, trained so that log sigmoid(score of the better text - score of the other) grows (Bradley and Terry). */
function createStage() {
  const backend = createJsBackend();
  const arena = createArena(backend, [
    {
      name: "score.weight",
      shape: [1, WORDS],
      decay: true,
      init: (value) =>
        backend.write(
          value,
          Float32Array.from({ length: WORDS }, (_, word) => Math.sin(word) / 10),
        ),
    },
  ]);
  const [weight] = arena.parameters;
  /** (pairs, 1) */
  const margins = ({ differences, pairs }: PairBatch): Tensor =>
    linear(tensor(backend, differences, [pairs, WORDS]), [{ weight: weight! }], "f32")[0]!;
  const metrics = {
    weight: ({ pairs }: PairBatch) => pairs,
    measure: (batch: PairBatch) => ({
      outputs: margins(batch),
      of: (values: Float32Array) => ({
        loss: pairwiseLoss(values).loss,
        accuracy: values.filter((margin) => margin > 0).length,
      }),
    }),
  };
  return {
    ...{ arena, ...rows, ...metrics },
    loss: (batch: PairBatch) => ({ outputs: margins(batch), of: pairwiseLoss }),
    async saveModel(dir: string) {
      const data = await backend.readBytes(weight!, weight!.size);
      await writeSafetensors(join(dir, "model.safetensors"), [
        { name: weight!.name, dtype: "f32", shape: weight!.shape, data },
      ]);
    },
    async loadModel(dir: string) {
      const { tensors } = await openSafetensors(join(dir, "model.safetensors"));
      backend.write(weight!, await readTensorData(tensors.get(weight!.name)!));
    },
    computeParameters: WORDS,
  };
}

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "medgpt-own-stage-"));
});
afterAll(() => rm(dir, { recursive: true }));

async function run(output: string, changes: Partial<TrainingArguments>, communicator?: Communicator) {
  const stage = createStage();
  const events: RunEvent[] = [];
  const context = { log: (event: RunEvent) => events.push(event), ...(communicator && { communicator }) };
  const args = argumentsFor(join(dir, output), {
    ...{ num_train_epochs: 3, learning_rate: 0.1, train_sampling_strategy: "random", weight_decay: 0.01 },
    ...{ eval_strategy: "steps", eval_steps: 2, save_strategy: "steps", save_steps: 4 },
    ...changes,
  });
  const { state } = await trainRows({ ...stage, evaluate: () => evaluate(rows, stage, 1, context) }, args, context);
  // Without the clock's figures; a resumed run has read its rows with their keys in order.
  const log = state.log_history.map((row) =>
    Object.fromEntries(Object.entries(row).filter(([key]) => !/runtime|per_second/.test(key))),
  );
  return { log, state, events, weights: [...(await stage.arena.values.read())] };
}

it("trains with its own loss, and reports its own metric", async () => {
  const { log } = await run("whole", { gradient_accumulation_steps: 2 });
  const of = (key: string) => log.flatMap((row) => row[key] ?? []);
  expect(of("loss")).toHaveLength(12);
  expect(of("eval_loss").at(-1)).toBeLessThan(of("eval_loss")[0]! / 2);
  expect(of("eval_accuracy").at(-1)).toBe(1);
  expect(of("eval_perplexity")).toEqual([]);
});

it("goes on from a checkpoint to the same bits", async () => {
  const whole = await run("interrupted", { gradient_accumulation_steps: 2 });
  const resume_from_checkpoint = join(dir, "interrupted", "checkpoint-8");
  const resumed = await run("resumed", { gradient_accumulation_steps: 2, resume_from_checkpoint });
  expect(resumed.events).toContainEqual(
    expect.objectContaining({ text: `continuing from ${resume_from_checkpoint} at step 8 of 12` }),
  );
  expect(resumed.weights).toEqual(whole.weights);
  // The last row has the mean loss of a process.
  expect(resumed.log.slice(0, -1)).toEqual(whole.log.slice(0, -1));
});

it.each([1, 2])("is the same run in two processes, with %i micro-batches each", async (accumulation) => {
  const alone = await run(`alone-${accumulation}`, { gradient_accumulation_steps: 2 * accumulation });
  const [first, second] = await Promise.all(
    processes(2).map((communicator, rank) =>
      run(`rank-${rank}-${accumulation}`, { gradient_accumulation_steps: accumulation }, communicator),
    ),
  );
  expectClose(first!.weights, alone.weights, { absolute: 1e-6, relative: 0 });
  expect(second!.weights).toEqual(first!.weights);
  expect(second!.log).toEqual(first!.log);
  // Parts of an epoch are counted in micro-batches, of which a process has fewer.
  const values = ({ log }: typeof alone) => log.flatMap(({ epoch: _, ...row }) => Object.values(row));
  expect(first!.log.map((row) => Object.keys(row))).toEqual(alone.log.map((row) => Object.keys(row)));
  expectClose(values(first!), values(alone), { absolute: 1e-6, relative: 1e-6 });
  expect(existsSync(join(dir, `rank-0-${accumulation}`, "checkpoint-4"))).toBe(true);
  expect(existsSync(join(dir, `rank-1-${accumulation}`))).toBe(false);
});
