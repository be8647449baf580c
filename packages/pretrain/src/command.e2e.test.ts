/** The command as users run it: the published command line, exit codes, Ctrl-C, and input that is not usable. */
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openArtifact } from "@medgpt/artifacts";
import { writeSafetensors } from "@medgpt/core/checkpoint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkpoints, logged, medgpt, readJson, snapshot, type Flags, type Toys } from "@medgpt/core/testing";
import { makeToys } from "./testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
});
afterAll(() => toys.remove());

const ADAPTER = "adapter_model.safetensors";

describe("the published command line", () => {
  /** As MedicalGPT publishes it; only the folders are ours, and the cache of tokens is told its place. */
  const published = (model: string, text: string, output: string): string =>
    `--model_type bloom --model_name_or_path ${model} --train_file_dir ${text} --validation_file_dir ${text}
    --per_device_train_batch_size 4 --per_device_eval_batch_size 4 --do_train --do_eval --use_peft True --seed 42 --fp16
    --max_train_samples 10000 --max_eval_samples 10 --num_train_epochs 0.5 --learning_rate 2e-4 --warmup_ratio 0.05
    --weight_decay 0.01 --logging_strategy steps --logging_steps 10 --eval_steps 50 --evaluation_strategy steps
    --save_steps 500 --save_strategy steps --save_total_limit 3 --gradient_accumulation_steps 1
    --preprocessing_num_workers 1 --block_size 1024 --output_dir ${output} --overwrite_output_dir --ddp_timeout 30000
    --logging_first_step True --target_modules all --lora_rank 8 --lora_alpha 16 --lora_dropout 0.05
    --torch_dtype float16 --device_map auto --report_to tensorboard --ddp_find_unused_parameters False
    --gradient_checkpointing True`;

  it("runs unchanged and leaves what the original leaves", async () => {
    const lines = Array.from({ length: 500 }, (_, i) => `Line ${i} of a text that is long enough for some blocks.`);
    await toys.write("long/text.txt", lines.join("\n"));
    const line = published(toys.at("bloom"), toys.at("long"), toys.at("published"));
    const argv = ["pretrain", ...line.split(/\s+/), "--cache_dir", toys.at("cache")];
    const { code, stdout, stderr } = await medgpt(argv, { CUDA_VISIBLE_DEVICES: "0" });
    expect({ code, error: /^error:.*/m.exec(stderr) }).toEqual({ code: 0, error: null });
    expect(stderr).toContain("CUDA_VISIBLE_DEVICES=0: changes nothing here, because no backend uses a GPU\n");
    expect(stdout).toMatch(/^step 1\/\d+ {2}loss \d/m);

    const dir = toys.at("published");
    const state = await readJson<Record<string, number>>(dir, "trainer_state.json");
    const names = await readdir(dir);
    expect(names.sort()).toEqual([
      "README.md",
      "adapter_config.json",
      ADAPTER,
      "all_results.json",
      `checkpoint-${state["global_step"]}`,
      "eval_results.json",
      "medgpt.json",
      "runs",
      "tokenizer.json",
      "tokenizer_config.json",
      "train_results.json",
      "trainer_state.json",
    ]);
    const events = await readdir(join(dir, "runs"), { recursive: true });
    expect(events.filter((name) => /events\.out\.tfevents\.[^/]*$/.test(name))).toHaveLength(1);

    const results = await readJson(dir, "all_results.json");
    expect(Object.keys(results)).toEqual([
      "epoch",
      "eval_accuracy",
      "eval_loss",
      "eval_runtime",
      "eval_samples",
      "eval_samples_per_second",
      "eval_steps_per_second",
      "perplexity",
      "total_flos",
      "train_loss",
      "train_runtime",
      "train_samples",
      "train_samples_per_second",
      "train_steps_per_second",
    ]);
    expect(results).toMatchObject({ eval_samples: 10, perplexity: Math.exp(results["eval_loss"]!) });
    const evaluation = await readJson(dir, "eval_results.json");
    const training = await readJson(dir, "train_results.json");
    expect(results).toEqual({ ...training, ...evaluation });
    // Half an epoch of batches of four, rounded up to a step.
    const steps = Math.ceil(0.5 * Math.ceil(training["train_samples"]! / 4));
    expect(state).toMatchObject({ global_step: steps, max_steps: steps, num_train_epochs: 1, save_steps: 500 });
    expect((await logged(dir))[0]).toMatchObject({ step: 1, learning_rate: 0 });

    expect(await readJson(dir, "adapter_config.json")).toMatchObject({
      base_model_name_or_path: toys.at("bloom"),
      r: 8,
      lora_alpha: 16,
      lora_dropout: 0.05,
      target_modules: ["dense", "dense_4h_to_h", "dense_h_to_4h", "query_key_value"],
      task_type: "CAUSAL_LM",
    });
    const { manifest, inferred } = await openArtifact(dir, "adapter");
    expect(inferred).toBe(false);
    expect(manifest.inputs).toMatchObject([{ kind: "causal-lm", path: toys.at("bloom") }]);
  });

  it("may stand in a configuration file instead", async () => {
    const config = {
      model_name_or_path: toys.at("llama"),
      train_file_dir: toys.at("text"),
      do_train: true,
      max_steps: 9,
    };
    const file = await toys.write("run.json", JSON.stringify(config));
    const rest = { block_size: 32, max_steps: 1, output_dir: toys.at("from-file"), cache_dir: toys.at("cache") };
    const argv = Object.entries({ config: file, ...rest }).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const { code } = await medgpt(["pretrain", ...argv]);
    expect(code).toBe(0);
    expect(await readJson(toys.at("from-file"), "trainer_state.json")).toMatchObject({ global_step: 1 });
  });
});

describe("Ctrl-C", () => {
  it("saves the last completed step, exits with 130, and the same command goes on to the same bits", async () => {
    const flags: Flags = { num_train_epochs: 12, learning_rate: 0.001 };
    const argv = (output: string, more: Flags = {}): string[] => [
      "pretrain",
      ...toys.argv(output, { ...flags, ...more }),
    ];
    let sent = false;
    const cut = await medgpt(argv("cut"), {}, (stdout, send) => {
      if (sent || !stdout.includes("step 3/")) return;
      sent = true;
      send("SIGINT");
    });
    expect(cut.code).toBe(130);
    const [step] = await checkpoints(toys.at("cut"));
    expect(step).toBeGreaterThanOrEqual(3);
    expect(cut.stderr).toContain("warning: stopping: the last completed step is being saved");
    expect(cut.stderr).toContain(
      `warning: stopped after step ${step} of 168; continue with the same command and --resume_from_checkpoint True\n`,
    );
    expect(cut.stderr).not.toContain("error:");

    const [resumed, whole] = await Promise.all([
      medgpt(argv("cut", { resume_from_checkpoint: true })),
      medgpt(argv("whole")),
    ]);
    expect([resumed.code, whole.code]).toEqual([0, 0]);
    expect(resumed.stderr).toContain(`continuing from ${toys.at("cut")}/checkpoint-${step} at step ${step} of 168\n`);
    const bytes = (output: string): Promise<Buffer> => readFile(toys.at(output, ADAPTER));
    expect((await bytes("cut")).equals(await bytes("whole"))).toBe(true);
    const rows = async (output: string) => (await logged(toys.at(output))).slice(0, -1);
    expect(await rows("cut")).toEqual(await rows("whole"));
  });
});

describe("the exit code", () => {
  it("is 2 for unusable input, with one line on standard error", async () => {
    const { code, stdout, stderr } = await medgpt([
      "pretrain",
      ...toys.argv("none", { train_file_dir: toys.at("nowhere") }),
    ]);
    expect({ code, last: stderr.trimEnd().split("\n").at(-1) }).toEqual({
      code: 2,
      last: `error: ${toys.at("nowhere")}: expected a folder with .txt, .jsonl, .json or .parquet files, but there is no such folder`,
    });
    expect(stderr.match(/^error:/gm)).toHaveLength(1);
    expect(stdout).toBe("");
  });

  it("is 2 for a loss that is not a number", async () => {
    const argv = toys.argv("diverged", { learning_rate: 1e20, lr_scheduler_type: "constant" });
    const { code, stderr } = await medgpt(["pretrain", ...argv]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: step 2: the loss is NaN .*; lower --learning_rate or compute in float32$/m);
  });
});

describe("unusable input", () => {
  interface Malformed {
    readonly what: string;
    /** Makes the input and returns the flags that give it. */
    readonly flags: (at: (path: string) => string) => Promise<Flags> | Flags;
    /** What the one line says after "error: "; %s stands for the folder of the test's own files. */
    readonly error: string | RegExp;
    /** More of the command line, for what no value of a flag can be. */
    readonly more?: readonly string[];
  }

  /** A copy of the toy llama, changed. */
  async function model(at: (path: string) => string, change: (dir: string) => Promise<void>): Promise<Flags> {
    await cp(toys.at("llama"), at("model"), { recursive: true });
    await change(at("model"));
    return { model_name_or_path: at("model") };
  }
  const config = (dir: string, change: Record<string, unknown>): Promise<void> =>
    readFile(join(dir, "config.json"), "utf8").then((text) =>
      writeFile(join(dir, "config.json"), JSON.stringify({ ...(JSON.parse(text) as object), ...change })),
    );
  async function text(at: (path: string) => string, name: string, data: string | Uint8Array): Promise<Flags> {
    await mkdir(at("text"));
    await writeFile(at(`text/${name}`), data);
    return { train_file_dir: at("text") };
  }
  /** A run with a checkpoint in a folder of the test's own, and that checkpoint changed. */
  async function checkpoint(at: (path: string) => string, change: (dir: string) => Promise<void>): Promise<Flags> {
    const flags = { max_steps: 4, save_strategy: "steps", save_steps: 2 };
    await toys.run("interrupted", flags);
    await cp(toys.at("interrupted"), at("output"), { recursive: true });
    await rm(toys.at("interrupted"), { recursive: true });
    await rm(at("output/checkpoint-4"), { recursive: true });
    await change(at("output/checkpoint-2"));
    return { ...flags, output_dir: at("output"), resume_from_checkpoint: true };
  }
  async function adapter(at: (path: string) => string, change: Record<string, unknown>): Promise<Flags> {
    await toys.run("made", { max_steps: 1, target_modules: "q_proj" });
    await cp(toys.at("made"), at("adapter"), { recursive: true });
    await rm(toys.at("made"), { recursive: true });
    await rm(at("adapter/medgpt.json"));
    const file = at("adapter/adapter_config.json");
    await writeFile(file, JSON.stringify({ ...(await readJson<object>(file)), ...change }));
    return { peft_path: at("adapter") };
  }

  const cases: Malformed[] = [
    {
      what: "no model folder",
      flags: (at) => ({ model_name_or_path: at("none") }),
      error: "%s/none: expected the folder of a model, but there is no folder of this name",
    },
    {
      what: "a model without config.json",
      flags: (at) => model(at, (dir) => rm(join(dir, "config.json"))),
      error: "%s/model: expected a model, found a tokenizer",
    },
    {
      what: "a config.json that is not JSON",
      flags: (at) => model(at, (dir) => writeFile(join(dir, "config.json"), '{"model_type": llama}')),
      error: /^%s\/model\/config.json: expected JSON, but /,
    },
    {
      what: "an unknown model_type",
      flags: (at) => model(at, (dir) => config(dir, { model_type: "rwkv" })),
      error: /^%s\/model\/config.json: model_type "rwkv" is not supported; supported are .*llama/,
    },
    {
      what: "a size in config.json that is no number",
      flags: (at) => model(at, (dir) => config(dir, { num_hidden_layers: "two" })),
      error: '%s/model/config.json: expected num_hidden_layers to be a positive integer, got "two"',
    },
    {
      what: "heads that do not share the keys evenly",
      flags: (at) => model(at, (dir) => config(dir, { num_key_value_heads: 3 })),
      error: "%s/model/config.json: num_attention_heads 4 is not a multiple of num_key_value_heads 3",
    },
    {
      what: "weights cut short",
      flags: (at) => model(at, (dir) => truncate(join(dir, "model.safetensors"), 20_000)),
      error: /^%s\/model\/model.safetensors: /,
    },
    {
      what: "weights of zero bytes",
      flags: (at) => model(at, (dir) => truncate(join(dir, "model.safetensors"), 0)),
      error: /^%s\/model\/model.safetensors: /,
    },
    {
      what: "weights of another shape",
      flags: (at) => model(at, (dir) => config(dir, { intermediate_size: 96 })),
      error:
        "%s/model/model.safetensors: model.layers.0.mlp.gate_proj.weight: expected shape (96, 32) from config.json, got (64, 32)",
    },
    {
      what: "a weight that is missing",
      flags: (at) => model(at, (dir) => config(dir, { num_hidden_layers: 3 })),
      error: '%s/model: the checkpoint has no tensor "model.layers.2.input_layernorm.weight"',
    },
    {
      what: "weights in a type that is not computed with",
      flags: (at) =>
        model(at, (dir) =>
          writeSafetensors(join(dir, "model.safetensors"), [
            { name: "model.embed_tokens.weight", dtype: "i32", shape: [2000, 32], data: new Uint8Array(2000 * 32 * 4) },
          ]),
        ),
      error: /^%s\/model/,
    },
    {
      what: "a tokenizer.json that is not JSON",
      flags: (at) => model(at, (dir) => truncate(join(dir, "tokenizer.json"), 500)),
      error: /^%s\/model\/tokenizer.json:\d+:\d+: is not valid JSON from here on/,
    },
    {
      what: "a tokenizer.json without a vocabulary",
      flags: (at) => model(at, (dir) => writeFile(join(dir, "tokenizer.json"), '{"model": {"type": "BPE"}}')),
      error: /^%s\/model\/tokenizer.json: expected a tokenizer with a BPE/,
    },
    {
      what: "no tokenizer",
      flags: (at) => model(at, (dir) => rm(join(dir, "tokenizer.json"))),
      error: /^%s\/model: expected a tokenizer.json in this folder, found none/,
    },
    {
      what: "an end-of-text token that the tokenizer does not have",
      flags: (at) => model(at, (dir) => writeFile(join(dir, "tokenizer_config.json"), '{"eos_token": "</s>"}')),
      error: /^%s\/model\/tokenizer_config.json: names the eos_token "<\/s>", which tokenizer.json does not have/,
    },
    {
      what: "a tokenizer with more tokens than the model has embeddings",
      flags: async (at) => {
        return model(at, async (dir) => {
          const file = join(dir, "tokenizer.json");
          const tokenizer = await readJson<{ added_tokens: object[] }>(file);
          const extra = { id: 2000, content: "<extra>", special: true, normalized: false };
          const token = { ...extra, single_word: false, lstrip: false, rstrip: false };
          await writeFile(file, JSON.stringify({ ...tokenizer, added_tokens: [...tokenizer.added_tokens, token] }));
        });
      },
      error:
        "%s/model: the tokenizer has 2001 tokens and the model only 2000 embeddings; give the tokenizer that it was trained with",
    },
    {
      what: "a folder of text that is not there",
      flags: (at) => ({ train_file_dir: at("none") }),
      error: "%s/none: expected a folder with .txt, .jsonl, .json or .parquet files, but there is no such folder",
    },
    {
      what: "an empty folder of text",
      flags: async (at) => {
        await mkdir(at("empty"));
        return { train_file_dir: at("empty") };
      },
      error: "%s/empty: expected a folder with .txt, .jsonl, .json or .parquet files, but it is empty",
    },
    {
      what: "a file in place of the folder of text",
      flags: async (at) => ({ ...(await text(at, "a.txt", "text")), train_file_dir: at("text/a.txt") }),
      error: "%s/text/a.txt: expected a folder with .txt, .jsonl, .json or .parquet files, but this is a file",
    },
    {
      what: "a folder of blank lines",
      flags: (at) => text(at, "a.txt", "\n\n\n"),
      error: /^%s\/text\/a.txt: expected text, but there is none/,
    },
    {
      what: "bytes that are not UTF-8",
      flags: (at) => text(at, "a.txt", Buffer.from("one\ntwo \xff\n", "latin1")),
      error: '%s/text/a.txt:2:5: expected UTF-8, got the byte 0xff after "two "; save the file as UTF-8',
    },
    {
      what: "a line of .jsonl that is not JSON",
      flags: (at) => text(at, "a.jsonl", '{"text": "one"}\n{"text": two}\n'),
      error: /^%s\/text\/a.jsonl:2:10: expected a JSON object with a string "text", got two}/,
    },
    {
      what: "a line of .jsonl without a text",
      flags: (at) => text(at, "a.jsonl", '{"text": "one"}\n{"content": "two"}\n'),
      error: /^%s\/text\/a.jsonl:2:1: expected a JSON object with a string "text", got {"content"/,
    },
    {
      what: "a text in .jsonl that is a number",
      flags: (at) => text(at, "a.jsonl", '{"text": 1}\n'),
      error: /^%s\/text\/a.jsonl:1:1: expected a JSON object with a string "text", got "text": 1/,
    },
    {
      what: "malformed text to evaluate on",
      flags: async (at) => {
        const { train_file_dir } = await text(at, "a.jsonl", "[1, 2\n");
        return { do_eval: true, validation_file_dir: train_file_dir };
      },
      error: /^%s\/text\/a.jsonl:1:/,
    },
    {
      what: "a misspelt flag",
      flags: () => ({ lora_rnak: 8 }),
      error: "--lora_rnak: unknown flag; did you mean --lora_rank?",
    },
    {
      what: "a value of the wrong type",
      flags: () => ({ lora_rank: "eight" }),
      error: '--lora_rank: expected an integer, got "eight"',
    },
    {
      what: "a value out of range",
      flags: () => ({ lora_dropout: 1.5 }),
      error: /^--lora_dropout: expected less than 1/,
    },
    {
      what: "a flag without its value",
      flags: () => ({}),
      more: ["--learning_rate"],
      error: /^--.*: expected a value after it/,
    },
    {
      what: "a word that is no flag",
      flags: () => ({}),
      more: ["--json", "True", "twice"],
      error: /^expected a flag such as/,
    },
    {
      what: "nothing to do",
      flags: () => ({ do_train: undefined }),
      error: "--do_train: nothing to do: give --do_train, --do_eval or both",
    },
    {
      what: "a configuration file with an unknown key",
      flags: async (at) => {
        await writeFile(at("run.yaml"), "seed: 1\nblock_sise: 32\n");
        return { config: at("run.yaml") };
      },
      error: "%s/run.yaml:2:1: unknown key block_sise; did you mean block_size?",
    },
    {
      what: "a module that is not there to adapt",
      flags: () => ({ target_modules: "query_key_value" }),
      error: /^target_modules: no linear module is called "query_key_value"; this model has q_proj, k_proj/,
    },
    {
      what: "a module that is not there to save",
      flags: () => ({ modules_to_save: "lm_head,wte" }),
      error: 'modules_to_save: the model has no module "wte"',
    },
    {
      what: "blocks longer than the model's positions",
      flags: () => ({ block_size: 129 }),
      error: "--block_size 129: the model has only 128 positions",
    },
    {
      what: "a run that needs more memory than it may take",
      flags: () => ({ max_memory: 0.01 }),
      error:
        /^the run needs about \d+ MiB of memory, and --max_memory allows 10 MiB; .*; to go on all the same, give --max_memory 1$/,
    },
    {
      what: "an adapter folder that is not there",
      flags: (at) => ({ peft_path: at("none") }),
      error: "%s/none: expected the folder of an adapter, but there is no folder of this name",
    },
    {
      what: "an adapter of another model",
      flags: async (at) => ({ ...(await adapter(at, {})), model_name_or_path: toys.at("bloom") }),
      error: /^%s\/adapter: the adapter is for another model: this one has no module model.layers.0.self_attn.q_proj$/,
    },
    {
      what: "an adapter whose rank is not its weights'",
      flags: (at) => adapter(at, { r: 4 }),
      error: /^%s\/adapter\/adapter_model.safetensors: .*lora_A.weight: expected shape \(4, 32\), got \(8, 32\)$/,
    },
    {
      what: "an adapter with a rank that cannot be",
      flags: (at) => adapter(at, { r: -1 }),
      error: /^%s\/adapter\/adapter_config.json: .*"r"/,
    },
    {
      what: "an adapter whose pattern of targets is malformed",
      flags: (at) => adapter(at, { target_modules: "(q_proj" }),
      error: /^.*target_modules.*\(q_proj/,
    },
    {
      what: "an adapter of another method",
      flags: (at) => adapter(at, { peft_type: "IA3" }),
      error: '%s/adapter/adapter_config.json: expected peft_type "LORA", got "IA3"',
    },
    {
      what: "an adapter that says DoRA",
      flags: (at) => adapter(at, { use_dora: true }),
      error:
        /^%s\/adapter\/adapter_config.json: use_dora true is not supported: only plain LoRA adapters are read; merge it/,
    },
    {
      what: "no checkpoint to resume from",
      flags: () => ({ resume_from_checkpoint: true }),
      error:
        /: --resume_from_checkpoint: there is no checkpoint-<step> folder to continue from; to start from the beginning, give --overwrite_output_dir in its place$/,
    },
    {
      what: "a checkpoint folder that is not there",
      flags: (at) => ({ resume_from_checkpoint: at("checkpoint-5") }),
      error: "%s/checkpoint-5: --resume_from_checkpoint: no such folder",
    },
    {
      what: "a checkpoint whose trainer_state.json was cut short",
      flags: (at) => checkpoint(at, (dir) => truncate(join(dir, "trainer_state.json"), 100)),
      error: /^%s\/output\/checkpoint-2\/trainer_state.json:\d+:\d+: is not valid JSON from here on/,
    },
    {
      what: "a checkpoint whose trainer_state.json is not an object",
      flags: (at) => checkpoint(at, (dir) => writeFile(join(dir, "trainer_state.json"), "null")),
      error: /^%s\/output\/checkpoint-2\/trainer_state.json: /,
    },
    {
      what: "a checkpoint whose rng_state.json is not JSON",
      flags: (at) => checkpoint(at, (dir) => writeFile(join(dir, "rng_state.json"), "{")),
      error: /^%s\/output\/checkpoint-2\/rng_state.json/,
    },
    {
      what: "a checkpoint whose optimizer state was cut short",
      flags: (at) => checkpoint(at, (dir) => truncate(join(dir, "optimizer.safetensors"), 1000)),
      error: /^%s\/output\/checkpoint-2\/optimizer.safetensors: /,
    },
    {
      what: "a checkpoint of an adapter with another rank",
      flags: async (at) => ({ ...(await checkpoint(at, () => Promise.resolve())), lora_rank: 4 }),
      error:
        /^%s\/output\/checkpoint-2: --lora_rank 4: this checkpoint has rank 8, .*; give --lora_rank 8, or begin anew/,
    },
    {
      what: "a checkpoint of a run with LoRA for one without",
      flags: async (at) => ({ ...(await checkpoint(at, () => Promise.resolve())), use_peft: false }),
      error:
        /^%s\/output\/checkpoint-2: --use_peft False: this checkpoint holds an adapter, .*; give --use_peft True, or/,
    },
    {
      what: "an output folder that is a file",
      flags: async (at) => {
        await writeFile(at("output"), "a file");
        return { output_dir: at("output") };
      },
      error: "%s/output: --output_dir: expected a folder, this is a file",
    },
    {
      what: "an output folder below a file",
      flags: async (at) => {
        await writeFile(at("file"), "a file");
        return { output_dir: at("file/output") };
      },
      error: /^%s\/file\/output: --output_dir: the folder cannot be made \(/,
    },
    {
      what: "an output folder to evaluate into that is a file",
      flags: async (at) => {
        await writeFile(at("output"), "a file");
        return { do_train: undefined, do_eval: true, validation_file_dir: toys.at("held"), output_dir: at("output") };
      },
      error: "%s/output: --output_dir: expected a folder, this is a file",
    },
    {
      what: "a folder for TensorBoard that is a file",
      flags: async (at) => {
        await writeFile(at("events"), "a file");
        return { report_to: "tensorboard", logging_dir: at("events") };
      },
      error: "%s/events: --logging_dir: expected a folder, this is a file",
    },
    {
      what: "a cache folder that is a file",
      flags: async (at) => {
        await writeFile(at("cache"), "a file");
        return { cache_dir: at("cache") };
      },
      error: /^%s\/cache: the token cache cannot be written/,
    },
  ];

  it.each(cases)(
    "is refused in one line and leaves nothing behind: $what",
    async ({ what, flags, error, more = [] }) => {
      const dir = toys.at(`bad-${cases.findIndex((each) => each.what === what)}`);
      await mkdir(dir);
      const given = await flags((path) => join(dir, path));
      const before = await snapshot(dir);
      const { code, stdout, stderr } = await toys.command([...toys.argv("bad-output", given), ...more]);

      const lines = stderr.trimEnd().split("\n");
      const last = lines.pop() ?? "";
      expect(last).toMatch(/^error: /);
      const said = last.slice("error: ".length).replaceAll(dir, "%s");
      if (typeof error === "string") expect(said).toBe(error);
      else expect(said).toMatch(error);
      expect(code).toBe(2);
      expect(lines.filter((line) => /^(error|warning):|^ +at /.test(line))).toEqual([]);
      expect(stdout).not.toContain("step 1/");
      expect(await snapshot(dir)).toEqual(before);
      expect(await snapshot(toys.at("bad-output"))).toBeUndefined();
      const cached = await readdir(toys.at("cache")).catch(() => []);
      expect(cached.filter((name) => name.includes("partial"))).toEqual([]);
    },
  );
});
