/** One run in two processes: the losses and the weights of a run in one, and files of the first alone. */
import { readdir } from "node:fs/promises";
import { openSafetensors, readTensorData } from "@medgpt/core/checkpoint";
import { parseFlags } from "@medgpt/core/config";
import type { Communicator, RunEvent } from "@medgpt/core/run";
import { logged, processes, type Flags, type Toys } from "@medgpt/core/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pretrainSchema } from "./config.js";
import { runPretrain } from "./recipe.js";
import { makeToys } from "./testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
});
afterAll(() => toys.remove());

async function run(output: string, flags: Flags, communicator?: Communicator) {
  // Adam divides rounding errors by gradients that may be as small: what is left of them is a part of the learning rate.
  const learning_rate = 0.001;
  const all = {
    per_device_train_batch_size: 1,
    per_device_eval_batch_size: 1,
    max_steps: 6,
    do_eval: true,
    validation_split_percentage: 20,
    learning_rate,
    ...flags,
  };
  const { config, given } = parseFlags(
    pretrainSchema,
    toys.argv(output, { ...all, backend: "js", report_to: "tensorboard" }),
  );
  const events: RunEvent[] = [];
  const context = { log: (event: RunEvent) => events.push(event), ...(communicator && { communicator }) };
  const artifact = await runPretrain(config, context, { given });
  return { artifact, losses: events.flatMap((event) => (event.type === "step" ? [event.loss] : [])), events };
}

const weights = async (output: string): Promise<number[]> => {
  const { tensors } = await openSafetensors(toys.at(output, "adapter_model.safetensors"));
  const names = [...tensors.keys()].sort();
  return (await Promise.all(names.map(async (name) => [...(await readTensorData(tensors.get(name)!))]))).flat();
};

/** Relative above 1: a loss near 8 is a sum in f32. */
function expectClose(values: readonly number[], expected: readonly number[]): void {
  expect(values.length).toBe(expected.length);
  const errors = values.map((value, index) => Math.abs(value - expected[index]!) / Math.max(1, Math.abs(value)));
  expect(Math.max(...errors)).toBeLessThan(1e-6);
}

it("is the run in one process on the same rows", async () => {
  const saving = { save_strategy: "steps", save_steps: 3, lora_dropout: 0.1 };
  const alone = await run("alone", { gradient_accumulation_steps: 2, ...saving });
  const [first, second] = await Promise.all(processes(2).map((communicator) => run("shared", saving, communicator)));
  expectClose(first!.losses, alone.losses);
  expect(second!.losses).toEqual(first!.losses);
  expect(second!.artifact).toEqual(first!.artifact);
  expectClose(await weights("shared"), await weights("alone"));
  const saved = ({ events }: typeof alone) => events.filter(({ type }) => type === "saved");
  expect(saved(first!)).toHaveLength(3);
  expect(saved(second!)).toEqual([]);
  const evaluated = async (output: string) => (await logged(toys.at(output))).map(({ eval_loss = 0 }) => eval_loss);
  expectClose(await evaluated("shared"), await evaluated("alone"));
  // A folder, and in it one file of events.
  expect(await readdir(toys.at("shared", "runs"), { recursive: true })).toHaveLength(2);
});
