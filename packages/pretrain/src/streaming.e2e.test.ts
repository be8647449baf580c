/** Runs on text that is streamed: the same computation as without, the same bits after an interruption, and no cache. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseFlags } from "@medgpt/core/config";
import { loadTokenizer } from "@medgpt/core/tokenizer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pretrainSchema } from "./config.js";
import { loadData } from "./data.js";
import { backends, checkpoints, logged, readJson, type Flags, type Toys } from "@medgpt/core/testing";
import { makeToys } from "./testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
});
afterAll(() => toys.remove());

const ADAPTER = "adapter_model.safetensors";
const sameAdapter = async (a: string, b: string): Promise<boolean> =>
  (await readFile(join(a, ADAPTER))).equals(await readFile(join(b, ADAPTER)));

/** Some 24 blocks a pass: a little more than two passes. */
const flags: Flags = {
  streaming: true,
  max_steps: 14,
  gradient_accumulation_steps: 2,
  block_size: 40,
  shuffle_buffer_size: 5,
  lora_dropout: 0.05,
  num_train_epochs: undefined,
};

describe.each(backends)("on the %s backend", (backend) => {
  it("computes in the order of the files what a run without streaming computes, and writes no cache", async () => {
    const common = { backend, train_sampling_strategy: "sequential", max_steps: 6, num_train_epochs: undefined };
    const { dir: cached } = await toys.run(`cached-${backend}`, common);
    const cache = toys.at(`no-cache-${backend}`);
    const { dir } = await toys.run(`sequential-${backend}`, { ...common, streaming: true, cache_dir: cache });
    const losses = async (from: string) =>
      (await logged(from)).slice(0, 6).map(({ loss, grad_norm }) => [loss, grad_norm]);
    expect(await losses(dir)).toEqual(await losses(cached));
    expect(await sameAdapter(dir, cached)).toBe(true);
    expect(existsSync(cache)).toBe(false);
  });

  it("goes on from any checkpoint to the same bits, within a pass and after its end", async () => {
    const saving = { ...flags, backend, save_strategy: "steps", save_steps: 1 };
    const { dir: whole } = await toys.run(`whole-${backend}`, saving);
    expect(await checkpoints(whole)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
    const epochs = (await logged(whole)).flatMap((row) => ("loss" in row ? [Math.floor(row["epoch"] ?? 0)] : []));
    expect(new Set(epochs)).toEqual(new Set([0, 1, 2]));
    for (const step of backend === "js" ? [7] : [1, 4, 6, 7, 8, 13]) {
      const resume_from_checkpoint = join(whole, `checkpoint-${step}`);
      const { dir, events } = await toys.run(`from-${step}-${backend}`, { ...flags, backend, resume_from_checkpoint });
      expect(events.filter((event) => event.type === "message" && event.level === "warn")).toEqual([]);
      expect(await sameAdapter(dir, whole)).toBe(true);
      expect((await logged(dir)).slice(0, 14)).toEqual((await logged(whole)).slice(0, 14));
    }
  });

  it("goes on after an interruption to the same bits", async () => {
    const controller = new AbortController();
    const output = `interrupted-${backend}`;
    const run = toys.run(
      output,
      { ...flags, backend },
      {
        signal: controller.signal,
        onEvent: (event) => {
          if (event.type === "step" && event.step === 5) setImmediate(() => controller.abort());
        },
      },
    );
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    const { dir } = await toys.run(output, { ...flags, backend, resume_from_checkpoint: true });
    const { dir: whole } = await toys.run(`uncut-${backend}`, { ...flags, backend });
    expect(await sameAdapter(dir, whole)).toBe(true);
    expect((await logged(dir)).slice(0, 14)).toEqual((await logged(whole)).slice(0, 14));
  });
});

it("trains on the window that a pass ends in, though it is shorter", async () => {
  // Five rows a pass and windows of four: each pass is a step of four rows and one of a single row.
  const { dir, events } = await toys.run("windows", {
    ...flags,
    backend: "js",
    max_train_samples: 5,
    per_device_train_batch_size: 2,
    max_steps: 5,
  });
  const rows = (await logged(dir)).filter((row) => "loss" in row);
  // Batches of two of the ten that transformers takes an epoch to have.
  expect(rows.map(({ epoch }) => epoch)).toEqual([0.2, 0.3, 1.2, 1.3, 2.2]);
  expect(rows.every((row) => (row["grad_norm"] ?? 0) > 0)).toBe(true);
  expect(events.filter((event) => event.type === "step")).toHaveLength(5);
  expect(await readJson(dir, "train_results.json")).toMatchObject({ train_samples: 20 });
});

it("shuffles with data_seed, else with seed", async () => {
  const losses = async (output: string, more: Flags) => {
    const { dir } = await toys.run(output, { ...flags, backend: "js", max_steps: 3, lora_dropout: 0, ...more });
    return (await logged(dir)).slice(0, 3).map(({ loss }) => loss);
  };
  const first = await losses("seed-42", {});
  expect(await losses("data-seed-42", { data_seed: 42, seed: 42 })).toEqual(first);
  expect(await losses("data-seed-7", { data_seed: 7 })).not.toEqual(first);
});

describe("evaluation", () => {
  const load = async (more: Flags) => {
    const argv = toys.argv("unused", { ...flags, do_eval: true, block_size: 16, ...more });
    const tokenizer = await loadTokenizer(toys.at("llama"));
    const { config } = parseFlags(pretrainSchema, argv);
    await using data = await loadData(config, tokenizer, { log: () => {} });
    const held: string[] = [];
    for (let row = 0; row < data.validation.count; row++) held.push(tokenizer.decode(await data.validation.read(row)));
    const trained =
      data.stream === undefined ? [] : (await data.stream.take(1000)).rows.flat().map((ids) => tokenizer.decode(ids));
    return { held, trained };
  };

  it("sets the documents of the first blocks aside, which are not trained on", async () => {
    const { held, trained } = await load({ max_eval_samples: 3, train_sampling_strategy: "sequential" });
    const { trained: all } = await load({ do_eval: false, train_sampling_strategy: "sequential" });
    expect(held).toEqual(all.slice(0, 3));
    expect(all.join("").endsWith(trained.join("").slice(0, -40))).toBe(false);
    const [whole, rest] = [all.join(""), trained.join("")];
    expect(whole).toContain(rest.slice(0, 200));
    expect(whole.indexOf(rest.slice(0, 200))).toBeGreaterThanOrEqual(held.join("").length);
  });

  it("takes the first blocks of a validation folder, or all of it through the cache", async () => {
    const { held: all } = await load({ validation_file_dir: toys.at("held") });
    const { held } = await load({ validation_file_dir: toys.at("held"), max_eval_samples: 2 });
    expect(all.length).toBeGreaterThan(2);
    expect(held).toEqual(all.slice(0, 2));
  });

  it("runs in training and at its end", async () => {
    const { dir } = await toys.run("evaluated", {
      ...flags,
      backend: "js",
      max_steps: 4,
      do_eval: true,
      max_eval_samples: 3,
      eval_strategy: "steps",
      eval_steps: 2,
    });
    expect((await logged(dir)).filter((row) => "eval_loss" in row)).toHaveLength(2);
    expect(await readJson(dir, "eval_results.json")).toMatchObject({ eval_samples: 3 });
  });
});

describe("is refused", () => {
  it("where a checkpoint was saved without it, or with other data", async () => {
    const saving = { backend: "js", save_strategy: "steps", save_steps: 2, max_steps: 2, num_train_epochs: undefined };
    const { dir: plain } = await toys.run("plain", saving);
    const { dir: streamed } = await toys.run("streamed", { ...saving, streaming: true });
    const resume = (from: string, more: Flags) =>
      toys.run("refused", { ...saving, max_steps: 4, resume_from_checkpoint: join(from, "checkpoint-2"), ...more });
    await expect(resume(plain, { streaming: true })).rejects.toThrow(
      `${join(plain, "checkpoint-2")}: was saved without --streaming True, and goes on only without it`,
    );
    await expect(resume(streamed, {})).rejects.toThrow(
      `${join(streamed, "checkpoint-2")}: was saved with --streaming True, and goes on only with it`,
    );
    await expect(resume(streamed, { streaming: true, train_file_dir: toys.at("held") })).rejects.toThrow(
      `${join(streamed, "checkpoint-2")}: was saved with other data or other settings of the data`,
    );
    await expect(resume(streamed, { streaming: true, shuffle_buffer_size: 7 })).rejects.toThrow(
      "other settings of the data",
    );
  });

  it("where the held-out documents are all there are, or a text is malformed, with its place", async () => {
    const all = { ...flags, backend: "js", do_eval: true, max_eval_samples: 1000 };
    await expect(toys.run("no-text-left", all)).rejects.toThrow(
      `${toys.at("text")}: --do_train: no document is left to train on; lower --max_eval_samples`,
    );
    await toys.write("bad/a.jsonl", '{"text": "one"}\n{"text": 2}\n');
    await expect(toys.run("bad-text", { ...flags, backend: "js", train_file_dir: toys.at("bad") })).rejects.toThrow(
      `${toys.at("bad/a.jsonl")}:2:1: expected a JSON object with a string "text", got "text": 2`,
    );
    expect(existsSync(toys.at("bad-text", ADAPTER))).toBe(false);
  });
});
