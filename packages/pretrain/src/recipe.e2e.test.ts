/** Whole runs of the stage on toy models: what they compute, what they leave behind, and that they can be trusted to repeat. */
import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openArtifact } from "@medgpt/artifacts";
import { chooseBackend } from "@medgpt/core/backends";
import { openSafetensors } from "@medgpt/core/checkpoint";
import { parseFlags } from "@medgpt/core/config";
import { loadCausalLm } from "@medgpt/core/models";
import { loadTokenizer } from "@medgpt/core/tokenizer";
import { nextTokenMetrics } from "@medgpt/core/stage";
import { evaluate } from "@medgpt/core/training";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pretrainSchema } from "./config.js";
import { batchesOf, loadData } from "./data.js";
import {
  backends,
  checkpoints,
  FAMILIES,
  logged,
  readJson,
  snapshot,
  stepsWith,
  type Family,
  type Flags,
  type Toys,
} from "@medgpt/core/testing";
import { makeToys } from "./testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
});
afterAll(() => toys.remove());

const ADAPTER = "adapter_model.safetensors";
const bytes = (...path: string[]): Promise<Buffer> => readFile(join(...path));
const sameBytes = async (a: string, b: string): Promise<boolean> => (await bytes(a)).equals(await bytes(b));

describe.each(backends)("on the %s backend", (backend) => {
  /** Two epochs in random order with dropout, windows of two batches and a shorter one at the end of an epoch. */
  const flags: Flags = {
    backend,
    max_train_samples: 21,
    num_train_epochs: 2,
    gradient_accumulation_steps: 2,
    lora_dropout: 0.05,
  };
  let whole: string;
  beforeAll(async () => {
    ({ dir: whole } = await toys.run(`whole-${backend}`, { ...flags, save_strategy: "steps", save_steps: 4 }));
  });

  it("covers what resuming must carry over: windows of unequal length and more than one epoch", async () => {
    const rows = (await logged(whole)).filter((row) => "loss" in row);
    const epochs = rows.map(({ epoch = 0 }) => epoch);
    const perEpoch = rows.length / 2;
    expect(epochs[perEpoch - 1]).toBe(1);
    expect(epochs.at(-1)).toBe(2);
    const [first = 0, second = 0] = epochs;
    expect(second - first).toBeCloseTo(first);
    expect(1 - (epochs[perEpoch - 2] ?? 0)).toBeLessThan(0.9 * first);
    expect(await checkpoints(whole)).toEqual([4, 8, 12]);
    expect(perEpoch).toBe(6);
  });

  it("gives the same bits when run again", async () => {
    const { dir } = await toys.run(`again-${backend}`, flags);
    expect(await logged(dir)).toEqual(await logged(whole));
    expect(await sameBytes(join(dir, ADAPTER), join(whole, ADAPTER))).toBe(true);
  });

  it("gives other bits with another seed", async () => {
    const { dir } = await toys.run(`seed-${backend}`, { ...flags, seed: 43 });
    expect(await sameBytes(join(dir, ADAPTER), join(whole, ADAPTER))).toBe(false);
  });

  it.each([4, 8])("resumes from checkpoint %i to the same bits", async (step) => {
    const { dir, events } = await toys.run(`from-${step}-${backend}`, {
      ...flags,
      save_strategy: "steps",
      save_steps: 4,
      resume_from_checkpoint: join(whole, `checkpoint-${step}`),
    });
    expect(events.filter((event) => event.type === "message" && event.level === "warn")).toEqual([]);
    expect(events.find((event) => event.type === "step")).toMatchObject({ step: step + 1 });
    expect(await logged(dir)).toMatchObject([...(await logged(whole)).slice(0, -1), { step: 12 }]);
    for (const file of [ADAPTER, `checkpoint-12/${ADAPTER}`, "checkpoint-12/optimizer.safetensors"])
      expect(await sameBytes(join(dir, file), join(whole, file)), file).toBe(true);
  });

  it("saves a checkpoint when interrupted, says how to go on, and goes on to the same bits and rows", async () => {
    // Rows of five steps: the interruption falls between two of them.
    const rows = { ...flags, logging_steps: 5 };
    const { dir: uncut } = await toys.run(`uncut-${backend}`, rows);
    const controller = new AbortController();
    const steps: number[] = [];
    const messages: string[] = [];
    const output = `interrupted-${backend}`;
    const run = toys.run(output, rows, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === "message") messages.push(event.text);
        if (event.type !== "step") return;
        steps.push(event.step);
        if (event.step === 7) setImmediate(() => controller.abort());
      },
    });
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    const last = steps.at(-1) ?? 0;
    expect(last).toBeLessThan(12);
    expect(messages.at(-1)).toBe(
      `stopped after step ${last} of 12; continue with the same command and --resume_from_checkpoint True`,
    );
    expect(await checkpoints(toys.at(output))).toEqual([last]);

    const { dir } = await toys.run(output, { ...rows, resume_from_checkpoint: true });
    expect(await logged(dir)).toMatchObject([...(await logged(uncut)).slice(0, -1), { step: 12 }]);
    expect(await stepsWith(dir, "loss")).toEqual([5, 10]);
    expect(await sameBytes(join(dir, ADAPTER), join(whole, ADAPTER))).toBe(true);
  });

  it.each(FAMILIES)("gives the same bits with gradient checkpointing, for %s", async (family) => {
    const model = { ...flags, model_name_or_path: toys.at(family), max_steps: 3 };
    const [plain, recomputed] = [
      await toys.run(`plain-${family}-${backend}`, model),
      await toys.run(`recomputed-${family}-${backend}`, { ...model, gradient_checkpointing: "full" }),
    ];
    expect(await logged(recomputed.dir)).toEqual(await logged(plain.dir));
    expect(await sameBytes(join(recomputed.dir, ADAPTER), join(plain.dir, ADAPTER))).toBe(true);
  });

  it.each(FAMILIES)(
    "trains every weight of %s without LoRA, and what it writes loads and evaluates the same",
    async (family) => {
      const evaluation = { do_eval: true, validation_file_dir: toys.at("held") };
      const settings = { backend, model_name_or_path: toys.at(family), use_peft: false, max_steps: 4, ...evaluation };
      const { dir } = await toys.run(`full-${family}-${backend}`, settings);
      const before = await bytes(toys.at(family), "model.safetensors");
      expect((await bytes(dir, "model.safetensors")).equals(before)).toBe(false);
      expect((await openArtifact(dir, "causal-lm")).inferred).toBe(false);
      const { eval_loss } = await readJson(dir, "eval_results.json");
      expect(await lossOf(dir, undefined, settings)).toBe(eval_loss);
      const start = await lossOf(toys.at(family), undefined, settings);
      expect(eval_loss).toBeLessThan(start ?? NaN);
    },
  );

  it("resumes a run without LoRA to the same bits", async () => {
    const settings = { ...flags, use_peft: false, max_steps: 5, save_strategy: "steps", save_steps: 3 };
    const { dir: uncut } = await toys.run(`full-uncut-${backend}`, settings);
    const resume_from_checkpoint = join(uncut, "checkpoint-3");
    const { dir } = await toys.run(`full-resumed-${backend}`, { ...settings, resume_from_checkpoint });
    expect(await sameBytes(join(dir, "model.safetensors"), join(uncut, "model.safetensors"))).toBe(true);
  });

  it("writes an adapter that loads onto its base and evaluates the same", async () => {
    const settings = { ...flags, do_eval: true, validation_file_dir: toys.at("held") };
    const { dir } = await toys.run(`adapter-${backend}`, settings);
    const { eval_loss, perplexity } = await readJson(dir, "eval_results.json");
    expect(await lossOf(toys.at("llama"), dir, settings)).toBe(eval_loss);
    expect(perplexity).toBe(Math.exp(eval_loss!));
  });

  it.each([
    ["llama", "embed_tokens,lm_head", ["lm_head", "model.embed_tokens"]],
    ["qwen2", "lm_head", ["lm_head"]],
    ["bloom", "word_embeddings", ["transformer.word_embeddings"]],
    ["gemma2", "embed_tokens", ["model.embed_tokens"]],
    ["gpt2", "wte,lm_head", ["lm_head", "transformer.wte"]],
  ])("trains and saves whole modules of %s beside the adapter: %s", async (family, modules_to_save, saved) => {
    const evaluation = { do_eval: true, validation_file_dir: toys.at("held") };
    const settings = { ...flags, model_name_or_path: toys.at(family), max_steps: 4, modules_to_save, ...evaluation };
    const { dir } = await toys.run(`saved-${family}-${backend}`, {
      ...settings,
      save_strategy: "steps",
      save_steps: 2,
    });
    const { tensors } = await openSafetensors(join(dir, ADAPTER));
    const whole = [...tensors.keys()].filter((name) => !name.includes(".lora_"));
    expect(whole).toEqual(saved.map((module) => `base_model.model.${module}.weight`));
    expect(await lossOf(toys.at(family), dir, settings)).toBe((await readJson(dir, "eval_results.json"))["eval_loss"]);

    const resume_from_checkpoint = join(dir, "checkpoint-2");
    const resumed = await toys.run(`saved-resumed-${family}-${backend}`, { ...settings, resume_from_checkpoint });
    expect(await sameBytes(join(resumed.dir, ADAPTER), join(dir, ADAPTER))).toBe(true);
  });

  it("does not apply dropout inside the model, and says so where its config asks for it", async () => {
    const warnings = async (model: string): Promise<string[]> => {
      const settings = { ...flags, model_name_or_path: toys.at(model), max_steps: 2 };
      const { events } = await toys.run(`dropout-${model}-${backend}`, settings);
      return events.flatMap((event) => (event.type === "message" && event.level === "warn" ? [event.text] : []));
    };
    expect(await warnings("gpt2")).toEqual([
      "config.json asks for dropout inside the model (attn_pdrop 0.1, embd_pdrop 0.1, resid_pdrop 0.1), which is not applied; --lora_dropout is",
    ]);
    const without = {
      ...(await readJson(toys.at("gpt2"), "config.json")),
      attn_pdrop: 0,
      embd_pdrop: 0,
      resid_pdrop: 0,
    };
    await cp(toys.at("gpt2"), toys.at("undropped"), { recursive: true });
    await toys.write("undropped/config.json", JSON.stringify(without));
    expect(await warnings("undropped")).toEqual([]);
    const [gpt2, undropped] = ["gpt2", "undropped"].map((model) => toys.at(`dropout-${model}-${backend}`, ADAPTER));
    expect(await sameBytes(gpt2!, undropped!)).toBe(true);
  });

  it("writes what --use_rslora and GPT-2's weights mean for PEFT", async () => {
    const settings = { ...flags, model_name_or_path: toys.at("gpt2"), max_steps: 2, use_rslora: true };
    const { dir } = await toys.run(`rslora-${backend}`, settings);
    expect(await readJson(dir, "adapter_config.json")).toMatchObject({
      use_rslora: true,
      fan_in_fan_out: true,
      target_modules: ["c_attn", "c_fc", "c_proj"],
    });
  });

  it("trains a copy of a tied embedding, as PEFT does: the head keeps the base's weight", async () => {
    const settings = {
      ...flags,
      model_name_or_path: toys.at("bloom"),
      max_steps: 2,
      modules_to_save: "word_embeddings",
    };
    const { dir } = await toys.run(`tied-${backend}`, settings);
    const chosen = (await chooseBackend({ backend })).backend;
    const [base, adapted] = [
      await loadCausalLm(toys.at("bloom"), { backend: chosen }),
      await loadCausalLm(toys.at("bloom"), { backend: chosen, adapter: dir }),
    ];
    const embedding = "transformer.word_embeddings.weight";
    expect(await adapted.head.weight.read()).toEqual(await base.weight(embedding).read());
    expect(await adapted.weight(embedding).read()).not.toEqual(await base.weight(embedding).read());
    await chosen.dispose();
  });

  /** Loss on the validation text, computed without the recipe. */
  async function lossOf(model: string, adapter: string | undefined, settings: Flags): Promise<number | undefined> {
    const { config } = parseFlags(pretrainSchema, toys.argv("unused", settings));
    const context = { log: () => {} };
    const chosen = (await chooseBackend({ backend })).backend;
    const lm = await loadCausalLm(model, { backend: chosen, adapter });
    await using data = await loadData(config, await loadTokenizer(model), context);
    const { validation } = data;
    const metrics = await evaluate(
      batchesOf(validation),
      nextTokenMetrics(lm),
      config.per_device_eval_batch_size,
      context,
    );
    await chosen.dispose();
    return metrics["eval_loss"];
  }
});

describe.skipIf(!backends.includes("native"))("native kernels", () => {
  const precisions: Flags[] = [{}, { bf16: true }];

  it.each(precisions)("give the same bits on one and two threads: %j", async (precision) => {
    const name = `threads-${String(precision["bf16"])}`;
    const flags = { backend: "native", ...precision, max_steps: 4, gradient_accumulation_steps: 2 };
    const [one, two] = [
      await toys.run(`${name}-1`, { ...flags, threads: 1, save_strategy: "steps", save_steps: 2 }),
      await toys.run(`${name}-2`, { ...flags, threads: 2 }),
    ];
    expect(await logged(two.dir)).toEqual(await logged(one.dir));
    expect(await sameBytes(join(two.dir, ADAPTER), join(one.dir, ADAPTER))).toBe(true);

    const resume_from_checkpoint = join(one.dir, "checkpoint-2");
    const { dir, events } = await toys.run(`${name}-resumed`, { ...flags, threads: 2, resume_from_checkpoint });
    expect(events.filter((event) => event.type === "message" && event.level === "warn")).toEqual([]);
    expect(await sameBytes(join(dir, ADAPTER), join(one.dir, ADAPTER))).toBe(true);
  });

  it.each(FAMILIES)("recompute in bfloat16 to the same bits, for %s", async (family: Family) => {
    const flags = { backend: "native", bf16: true, model_name_or_path: toys.at(family), max_steps: 3 };
    const plain = await toys.run(`bf16-${family}`, flags);
    const recomputed = await toys.run(`bf16-recomputed-${family}`, { ...flags, gradient_checkpointing: "full" });
    expect(await sameBytes(join(recomputed.dir, ADAPTER), join(plain.dir, ADAPTER))).toBe(true);
  });

  it("are told apart from others when a run is resumed", async () => {
    const flags = { max_steps: 4, save_strategy: "steps", save_steps: 2 };
    const { dir } = await toys.run("by-native", { ...flags, backend: "native" });
    const resume_from_checkpoint = join(dir, "checkpoint-2");
    const { events } = await toys.run("by-js", { ...flags, backend: "js", seed: 5, resume_from_checkpoint });
    const warnings = events.flatMap((event) =>
      event.type === "message" && event.level === "warn" ? [event.text] : [],
    );
    expect(warnings).toEqual([
      expect.stringMatching(
        /checkpoint-2: seed was 42 and is 5; data_seed was 42 and is 5; backend was "native \(.* kernels\)" and is "js \(TypeScript, f32\)": the run continues, but not as it would have$/,
      ),
    ]);
  });
});

describe("an adapter to go on training", () => {
  let first: string;
  beforeAll(async () => {
    ({ dir: first } = await toys.run("first", {
      max_steps: 2,
      lora_rank: 4,
      lora_alpha: 12,
      lora_dropout: 0.1,
      target_modules: "q_proj,v_proj",
    }));
  });

  it("keeps its own rank, alpha, dropout and targets where no flag is given", async () => {
    const { dir } = await toys.run("second", { max_steps: 2, peft_path: first });
    expect(await readJson(dir, "adapter_config.json")).toEqual(await readJson(first, "adapter_config.json"));
    expect(await readJson(first, "adapter_config.json")).toMatchObject({
      r: 4,
      lora_alpha: 12,
      lora_dropout: 0.1,
      target_modules: ["q_proj", "v_proj"],
    });
    expect(await sameBytes(join(dir, ADAPTER), join(first, ADAPTER))).toBe(false);
    const { manifest } = await openArtifact(dir, "adapter");
    expect(manifest.inputs.map(({ kind, path }) => ({ kind, path }))).toEqual([
      { kind: "causal-lm", path: toys.at("llama") },
      { kind: "adapter", path: first },
    ]);
  });

  it("starts from its weights", async () => {
    const evaluation = { do_eval: true, validation_file_dir: toys.at("held") };
    const { dir } = await toys.run("third", {
      max_steps: 2,
      lora_rank: 4,
      learning_rate: 0,
      peft_path: first,
      ...evaluation,
    });
    expect(await sameBytes(join(dir, ADAPTER), join(first, ADAPTER))).toBe(true);
    await toys.run("evaluated", { do_train: undefined, peft_path: first, ...evaluation });
    const [of, evaluated] = [
      await readJson(dir, "eval_results.json"),
      await readJson(toys.at("evaluated"), "eval_results.json"),
    ];
    expect(evaluated["eval_loss"]).toBe(of["eval_loss"]);
  });

  it.each([
    ["lora_rank", 8, "--lora_rank 8: the adapter at --peft_path has 4; leave the flag out"],
    ["lora_alpha", 32, "--lora_alpha 32: the adapter at --peft_path has 12; leave the flag out"],
    ["lora_dropout", 0.05, "--lora_dropout 0.05: the adapter at --peft_path has 0.1; leave the flag out"],
    ["use_rslora", true, "--use_rslora True: the adapter at --peft_path has False; leave the flag out"],
    [
      "modules_to_save",
      "lm_head",
      "--modules_to_save lm_head: the adapter at --peft_path has none; leave the flag out",
    ],
    ["target_modules", "all", "--target_modules all: the adapter at --peft_path has other targets; leave the flag out"],
  ])("is not contradicted by --%s", async (flag, value, message) => {
    const { code, stderr } = await toys.command(toys.argv("contrary", { peft_path: first, [flag]: value }));
    expect({ code, last: stderr.trimEnd().split("\n").at(-1) }).toEqual({
      code: 2,
      last: `error: ${first}: ${message}`,
    });
    expect(await snapshot(toys.at("contrary"))).toBeUndefined();
  });

  it("takes flags that say what it has", async () => {
    const same = { lora_rank: 4, lora_alpha: 12, lora_dropout: 0.1, target_modules: "v_proj,q_proj" };
    expect((await toys.command(toys.argv("agreeing", { max_steps: 1, peft_path: first, ...same }))).code).toBe(0);
  });
});

describe("logs, evaluations and checkpoints", () => {
  /** Seven steps, evaluated on what they train on: the loss falls, and `first` makes the earliest evaluation the best. */
  const seven = { max_steps: 7, validation_file_dir: "" };
  const first = { load_best_model_at_end: true, metric_for_best_model: "loss", greater_is_better: true };
  beforeAll(() => {
    seven.validation_file_dir = toys.at("text");
  });

  it("keeps the newest checkpoints within save_total_limit, the last step's included", async () => {
    const { dir } = await toys.run("limit", { ...seven, save_strategy: "steps", save_steps: 2, save_total_limit: 2 });
    expect(await checkpoints(dir)).toEqual([6, 7]);
    expect(await sameBytes(join(dir, ADAPTER), join(dir, "checkpoint-7", ADAPTER))).toBe(true);
  });

  it("keeps every checkpoint without a limit, and saves at the ends of epochs", async () => {
    const epochs = {
      max_train_samples: 21,
      num_train_epochs: 2,
      gradient_accumulation_steps: 4,
      save_strategy: "epoch",
      logging_strategy: "epoch",
    };
    const { dir } = await toys.run("epochs", {
      ...epochs,
      validation_file_dir: toys.at("held"),
      eval_strategy: "epoch",
    });
    expect(await checkpoints(dir)).toEqual([3, 6]);
    expect(await stepsWith(dir, "eval_loss")).toEqual([3, 6]);
    expect(await stepsWith(dir, "loss")).toEqual([3, 6]);
  });

  it("evaluates every eval_steps and after the last step", async () => {
    const { dir } = await toys.run("eval-steps", {
      ...seven,
      eval_strategy: "steps",
      eval_steps: 3,
      eval_on_start: true,
    });
    expect(await stepsWith(dir, "eval_loss")).toEqual([0, 3, 6, 7]);
    expect(await readJson(dir, "trainer_state.json")).toMatchObject({ best_metric: null, best_model_checkpoint: null });
  });

  it("evaluates once at the end with --do_eval alone, which the trainer's log does not have", async () => {
    const { dir, events } = await toys.run("eval-once", { ...seven, do_eval: true });
    expect(await stepsWith(dir, "eval_loss")).toEqual([]);
    expect(events.filter(({ type }) => type === "eval")).toMatchObject([{ step: 7 }]);
    const results = await readJson(dir, "eval_results.json");
    expect(Object.keys(results)).toEqual([
      "epoch",
      "eval_accuracy",
      "eval_loss",
      "eval_runtime",
      "eval_samples",
      "eval_samples_per_second",
      "eval_steps_per_second",
      "perplexity",
    ]);
    expect(await readJson(dir, "all_results.json")).toEqual({
      ...(await readJson(dir, "train_results.json")),
      ...results,
    });
  });

  it("logs the first step too where asked, and means of the steps between two rows", async () => {
    const [each, some] = [
      await toys.run("each-step", seven),
      await toys.run("first-step", { ...seven, logging_steps: 3, logging_first_step: true }),
    ];
    const loss = (await logged(each.dir)).map((row) => row["loss"] ?? NaN);
    const rows = (await logged(some.dir)).filter((row) => "loss" in row);
    expect(rows.map(({ step }) => step)).toEqual([1, 3, 6]);
    expect(rows[0]!["loss"]).toBe(loss[0]);
    expect(rows[1]!["loss"]).toBeCloseTo((loss[1]! + loss[2]!) / 2, 10);
    expect(rows[2]!["loss"]).toBeCloseTo((loss[3]! + loss[4]! + loss[5]!) / 3, 10);
    const { train_loss } = await readJson(some.dir, "train_results.json");
    expect(train_loss).toBeCloseTo(loss.slice(0, 7).reduce((sum, value) => sum + value) / 7, 10);
  });

  it.each([
    { limit: 1, left: [2] },
    { limit: 2, left: [2, 7] },
    { limit: undefined, left: [2, 4, 6, 7] },
  ])("ends with the best checkpoint and keeps it beside the last: save_total_limit $limit", async ({ limit, left }) => {
    const { dir } = await toys.run(`best-${limit}`, {
      ...seven,
      ...first,
      eval_strategy: "steps",
      eval_steps: 2,
      save_strategy: "steps",
      save_steps: 2,
      save_total_limit: limit,
    });
    expect(await checkpoints(dir)).toEqual(left);
    const state = await readJson<Record<string, unknown>>(dir, "trainer_state.json");
    expect(state).toMatchObject({ best_global_step: 2, best_model_checkpoint: join(dir, "checkpoint-2") });
    const losses = (await logged(dir)).flatMap((row) => row["eval_loss"] ?? []);
    expect(state["best_metric"]).toBe(Math.max(...losses));
    expect(await sameBytes(join(dir, ADAPTER), join(dir, "checkpoint-2", ADAPTER))).toBe(true);
    if (left.includes(7)) expect(await sameBytes(join(dir, ADAPTER), join(dir, "checkpoint-7", ADAPTER))).toBe(false);
    await openArtifact(dir, "adapter");
  });

  it("takes the lowest loss for the best unless told otherwise", async () => {
    const { dir } = await toys.run("lowest", {
      ...seven,
      validation_file_dir: toys.at("held"),
      load_best_model_at_end: true,
      eval_strategy: "steps",
      eval_steps: 2,
      save_strategy: "steps",
      save_steps: 2,
    });
    const rows = (await logged(dir)).filter((row) => "eval_loss" in row);
    const best = rows.reduce((a, b) => (b["eval_loss"]! < a["eval_loss"]! ? b : a));
    const state = await readJson<Record<string, unknown>>(dir, "trainer_state.json");
    expect(state).toMatchObject({ best_metric: best["eval_loss"], best_global_step: best["step"] });
    expect(await sameBytes(join(dir, ADAPTER), join(dir, `checkpoint-${best["step"]}`, ADAPTER))).toBe(true);
  });

  it("ends with the last step where the best one has no checkpoint", async () => {
    const { dir } = await toys.run("no-checkpoint", {
      ...seven,
      ...first,
      eval_strategy: "steps",
      eval_steps: 1,
      eval_on_start: true,
      save_strategy: "steps",
      save_steps: 3,
    });
    const state = await readJson(dir, "trainer_state.json");
    expect(state).toMatchObject({ best_global_step: 1, best_model_checkpoint: null });
    expect(await sameBytes(join(dir, ADAPTER), join(dir, "checkpoint-7", ADAPTER))).toBe(true);
  });

  it("leaves the optimizer out with save_only_model, and such a checkpoint cannot be resumed from", async () => {
    const { dir } = await toys.run("only-model", {
      ...seven,
      save_strategy: "steps",
      save_steps: 4,
      save_only_model: true,
    });
    expect(Object.keys((await snapshot(join(dir, "checkpoint-4"))) ?? {})).toEqual([
      "adapter_config.json",
      ADAPTER,
      "rng_state.json",
      "trainer_state.json",
      "training_args.json",
    ]);
    const before = await snapshot(dir);
    const { code, stderr } = await toys.command(toys.argv("only-model", { ...seven, resume_from_checkpoint: true }));
    expect(code).toBe(2);
    expect(stderr).toContain(`error: ${join(dir, "checkpoint-7")}: holds no optimizer.safetensors: `);
    expect(await snapshot(dir)).toEqual(before);
  });
});

describe("the output folder", () => {
  it("must be empty, or is left as it is", async () => {
    await toys.write("used/notes.md", "mine");
    const before = await snapshot(toys.at("used"));
    const { code, stderr } = await toys.command(toys.argv("used"));
    expect(code).toBe(2);
    expect(stderr).toBe(
      `error: ${toys.at("used")}: --output_dir is not empty: give --overwrite_output_dir, --resume_from_checkpoint True, or another folder\n`,
    );
    expect(await snapshot(toys.at("used"))).toEqual(before);
  });

  it("loses only the checkpoints of the run before when it is overwritten", async () => {
    const { dir } = await toys.run("over", { max_steps: 2, save_strategy: "steps", save_steps: 1 });
    await toys.write("over/notes.md", "mine");
    await toys.write("over/checkpoint-9/notes.md", "not of a run");
    await toys.write("over/.checkpoint-2.partial/half", "");
    await toys.run("over", { max_steps: 3, save_strategy: "steps", save_steps: 3, overwrite_output_dir: true });
    expect(await checkpoints(dir)).toEqual([3, 9]);
    const now = (await snapshot(dir)) ?? {};
    expect(Object.keys(now).filter((name) => name.includes("notes"))).toEqual(["checkpoint-9/notes.md", "notes.md"]);
    expect(Object.keys(now).filter((name) => /partial|\.tmp$/.test(name))).toEqual([]);
    await openArtifact(dir, "adapter");
  });

  it("is not overwritten while the run reads from it", async () => {
    const { dir } = await toys.run("reads", { max_steps: 1, save_strategy: "steps", save_steps: 1 });
    const before = await snapshot(dir);
    const peft_path = join(dir, "checkpoint-1");
    const { code, stderr } = await toys.command(toys.argv("reads", { peft_path, overwrite_output_dir: true }));
    expect(code).toBe(2);
    expect(stderr).toBe(
      `error: ${peft_path}: --overwrite_output_dir would remove this folder, which the run reads; give another --output_dir\n`,
    );
    expect(await snapshot(dir)).toEqual(before);
  });

  it("stays a whole artifact when it is evaluated into", async () => {
    const { dir } = await toys.run("evaluated-into", { max_steps: 1 });
    await toys.run("evaluated-into", {
      do_train: undefined,
      do_eval: true,
      validation_file_dir: toys.at("held"),
      peft_path: dir,
    });
    expect(await readJson(dir, "all_results.json")).toMatchObject({
      train_loss: expect.any(Number),
      eval_loss: expect.any(Number),
    });
    await openArtifact(dir, "adapter");
  });

  it("is made for an evaluation alone", async () => {
    await toys.run("new/folder", { do_train: undefined, do_eval: true, validation_file_dir: toys.at("held") });
    expect(Object.keys((await snapshot(toys.at("new/folder"))) ?? {})).toEqual([
      "all_results.json",
      "eval_results.json",
    ]);
    const { eval_loss, perplexity } = await readJson(toys.at("new/folder"), "eval_results.json");
    expect(eval_loss).toBeCloseTo(Math.log(2000), 0);
    expect(perplexity).toBe(Math.exp(eval_loss!));
  });

  it("has no access token anywhere", async () => {
    const { dir } = await toys.run("secrets", { max_steps: 1, hf_hub_token: "hf_secret", hub_token: "hf_hidden" });
    const files = Object.entries((await snapshot(dir)) ?? {});
    const telling = files.filter(([, data]) =>
      /hf_(secret|hidden)/.test(Buffer.from(data, "base64").toString("latin1")),
    );
    expect(telling.map(([name]) => name)).toEqual([]);
    expect((await openArtifact(dir, "adapter")).manifest.createdBy?.config).toMatchObject({ max_steps: 1 });
  });

  it("is left empty when a run is interrupted before its first step", async () => {
    const controller = new AbortController();
    const messages: string[] = [];
    const run = toys.run(
      "too-soon",
      { report_to: "tensorboard" },
      {
        signal: controller.signal,
        onEvent: (event) => {
          if (event.type !== "message") return;
          messages.push(event.text);
          if (event.text.startsWith("train: ")) controller.abort();
        },
      },
    );
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    expect(messages.at(-1)).toBe("stopped before the first step was completed; nothing is saved");
    expect(await snapshot(toys.at("too-soon"))).toEqual({});
    await toys.run("too-soon", { max_steps: 1 });
  });

  it("holds a whole artifact when only the evaluation after training is interrupted", async () => {
    const controller = new AbortController();
    const evaluation = { do_eval: true, validation_file_dir: toys.at("held") };
    const run = toys.run(
      "unevaluated",
      { max_steps: 1, ...evaluation },
      {
        signal: controller.signal,
        onEvent: (event) => {
          if (event.type === "progress" && event.task === "evaluating") controller.abort();
        },
      },
    );
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    await openArtifact(toys.at("unevaluated"), "adapter");
    expect(Object.keys((await snapshot(toys.at("unevaluated"))) ?? {})).not.toContain("eval_results.json");
  });
});

describe("a loss that is not a number", () => {
  it("ends the run, naming the step", async () => {
    const { code, stderr } = await toys.command(
      toys.argv("diverged", { learning_rate: 1e20, lr_scheduler_type: "constant" }),
    );
    expect(code).toBe(2);
    const last = stderr.trimEnd().split("\n").at(-1);
    expect(last).toMatch(
      /^error: step \d+: the loss is \S+ and the gradient norm \S+; lower --learning_rate or compute in float32$/,
    );
    expect(last).toMatch(/NaN|Infinity/);
  });

  it("is not saved over the last good checkpoint", async () => {
    const flags = { learning_rate: 1e20, lr_scheduler_type: "constant", save_strategy: "steps", save_steps: 1 };
    await toys.command(toys.argv("diverged-late", flags));
    const dir = toys.at("diverged-late");
    const steps = await checkpoints(dir);
    const state = await readJson(dir, `checkpoint-${steps.at(-1)}`, "trainer_state.json");
    expect(state["global_step"]).toBe(steps.at(-1));
    const { log_history } = await readJson<{ log_history: { loss: number }[] }>(
      dir,
      `checkpoint-${steps.at(-1)}`,
      "trainer_state.json",
    );
    expect(log_history.every(({ loss }) => Number.isFinite(loss))).toBe(true);
    expect(Object.keys((await snapshot(dir)) ?? {})).not.toContain("medgpt.json");
  });
});

it.skipIf(process.platform !== "linux")("leaves no file open, whether a run succeeds or fails", async () => {
  const flags = { max_steps: 1, do_eval: true, validation_file_dir: toys.at("held"), report_to: "tensorboard" };
  const open = async (): Promise<number> => (await readdir("/proc/self/fd")).length;
  const before = await open();
  await toys.run("closed", { ...flags, save_strategy: "steps" });
  await expect(toys.run("closed", flags)).rejects.toThrow("--output_dir is not empty");
  await expect(toys.run("closed-not", { ...flags, validation_file_dir: toys.at("none") })).rejects.toThrow(
    "no such folder",
  );
  expect(await open()).toBe(before);
});

it("goes on after its own command was interrupted twice", async () => {
  const flags = { num_train_epochs: 1, gradient_accumulation_steps: 2 };
  const stopAt = async (step: number, resume: boolean): Promise<void> => {
    const controller = new AbortController();
    const onEvent = (event: { type: string; step?: number }): void => {
      if (event.type === "step" && event.step === step) controller.abort();
    };
    const run = toys.run("twice", { ...flags, resume_from_checkpoint: resume }, { signal: controller.signal, onEvent });
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
  };
  const { dir: uncut } = await toys.run("twice-uncut", flags);
  await stopAt(2, false);
  await stopAt(4, true);
  const { dir } = await toys.run("twice", { ...flags, resume_from_checkpoint: true });
  expect(await sameBytes(join(dir, ADAPTER), join(uncut, ADAPTER))).toBe(true);
});
