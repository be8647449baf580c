/** Toy models, a little text and runs on them, in a folder for temporary files. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chooseBackend } from "@medgpt/core/backends";
import { parseFlags, runCommand, type CommandIo } from "@medgpt/core/config";
import { initCausalLm } from "@medgpt/core/models";
import type { RunEvent, TrainerState } from "@medgpt/core/training";
import { command } from "../command.js";
import { pretrainSchema } from "../config.js";
import { runPretrain } from "../recipe.js";

const repository = fileURLToPath(new URL("../../../../", import.meta.url));
const sample = join(repository, "datasets/sample");
/** The built command, as users get it. */
export const bin = join(repository, "packages/cli/bin/medgpt.js");

/** Those a run can be asked to take: js always, native where it is built. */
export const backends: readonly ("js" | "native")[] = await chooseBackend({ backend: "native" }).then(
  async ({ backend }) => {
    await backend.dispose();
    return ["js", "native"];
  },
  () => ["js"],
);

const VOCABULARY = 2000; // that of the sample tokenizer
const gated = {
  vocab_size: VOCABULARY,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
};
const CONFIGS = {
  llama: { architectures: ["LlamaForCausalLM"], model_type: "llama", ...gated, tie_word_embeddings: false },
  qwen2: { architectures: ["Qwen2ForCausalLM"], model_type: "qwen2", ...gated, tie_word_embeddings: true },
  qwen3: {
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    ...gated,
    head_dim: 16,
    tie_word_embeddings: true,
  },
  mistral: { architectures: ["MistralForCausalLM"], model_type: "mistral", ...gated, sliding_window: 24 },
  gemma2: {
    ...{ architectures: ["Gemma2ForCausalLM"], model_type: "gemma2", ...gated, head_dim: 8, sliding_window: 24 },
    ...{ query_pre_attn_scalar: 8, attn_logit_softcapping: 5, final_logit_softcapping: 6 },
  },
  gpt2: {
    ...{ architectures: ["GPT2LMHeadModel"], model_type: "gpt2", vocab_size: VOCABULARY },
    ...{ n_embd: 32, n_layer: 2, n_head: 4, n_positions: 128 },
  },
  bloom: {
    architectures: ["BloomForCausalLM"],
    model_type: "bloom",
    vocab_size: VOCABULARY,
    hidden_size: 32,
    n_layer: 2,
    n_head: 4,
  },
};
export type Family = keyof typeof CONFIGS;
export const FAMILIES = Object.keys(CONFIGS) as Family[];

export type Flags = Readonly<Record<string, string | number | boolean | undefined>>;

/** A folder of toys, with `text/` of some 25 blocks of 32 tokens and a model a family. */
export class Toys {
  private constructor(readonly dir: string) {}

  static async make(): Promise<Toys> {
    const toys = new Toys(await mkdtemp(join(tmpdir(), "medgpt-pretrain-")));
    for (const family of FAMILIES) await initCausalLm(toys.at(family), CONFIGS[family], join(sample, "tokenizer"), 7);
    const lines = async (file: string): Promise<string[]> =>
      (await readFile(join(sample, "pretrain", file), "utf8")).split("\n");
    await toys.write("text/one.txt", (await lines("synthetic-en.txt")).slice(0, 9).join("\n"));
    await toys.write("text/below/two.jsonl", (await lines("synthetic-mixed.jsonl")).slice(0, 5).join("\n"));
    await toys.write("held/three.txt", (await lines("synthetic-zh.txt")).slice(0, 4).join("\n"));
    return toys;
  }

  remove(): Promise<void> {
    return rm(this.dir, { recursive: true, force: true });
  }

  at(...path: string[]): string {
    return join(this.dir, ...path);
  }

  /** Writes a file, folders included, and returns its path. */
  async write(path: string, data: string | Uint8Array): Promise<string> {
    const file = this.at(path);
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, data);
    return file;
  }

  /** A short run on the llama into `output`, as arguments; `flags` win, undefined takes one away. */
  argv(output: string, flags: Flags = {}): string[] {
    const all: Flags = {
      model_name_or_path: this.at("llama"),
      train_file_dir: this.at("text"),
      cache_dir: this.at("cache"),
      output_dir: this.at(output),
      do_train: true,
      block_size: 32,
      per_device_train_batch_size: 2,
      per_device_eval_batch_size: 2,
      learning_rate: 0.01,
      num_train_epochs: 1,
      logging_steps: 1,
      save_strategy: "no",
      ...flags,
    };
    return Object.entries(all).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}`, value === true ? "True" : value === false ? "False" : String(value)],
    );
  }

  /** Runs in this process. `onEvent` may throw to fail the test, or abort the signal. */
  async run(
    output: string,
    flags: Flags = {},
    { signal, onEvent = () => {} }: { signal?: AbortSignal; onEvent?: (event: RunEvent) => void } = {},
  ): Promise<{ dir: string; events: RunEvent[] }> {
    const { config, given } = parseFlags(pretrainSchema, this.argv(output, flags));
    const events: RunEvent[] = [];
    const log = (event: RunEvent): void => {
      events.push(event);
      onEvent(event);
    };
    await runPretrain(config, signal === undefined ? { log } : { log, signal }, { given });
    return { dir: this.at(output), events };
  }

  /** The command in this process, from its arguments to its exit code. */
  async command(argv: readonly string[]): Promise<Outcome> {
    const written = { stdout: "", stderr: "" };
    const stream = (name: "stdout" | "stderr") => ({
      on: () => {},
      write: (text: string) => {
        written[name] += text;
      },
    });
    const io = { stdout: stream("stdout"), stderr: stream("stderr"), env: {}, on() {}, off() {}, exit() {} };
    const code = await runCommand(command, argv, io as unknown as CommandIo);
    return { code, ...written };
  }
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `medgpt` with the arguments in a process of its own, built as users get it.
 * @param onOutput called with all of standard output so far, and a function that sends the process a signal
 */
export function medgpt(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  onOutput: (stdout: string, send: (signal: NodeJS.Signals) => void) => void = () => {},
): Promise<Outcome> {
  if (!existsSync(join(repository, "packages/cli/dist/index.js")))
    throw new Error("packages/cli/dist is missing: these tests run the built command; build it with npx tsc -b");
  const child = spawn(process.execPath, [bin, ...argv], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    onOutput(stdout, (signal) => void child.kill(signal));
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** Every file below a folder with its contents, so that two states of it can be compared; undefined where there is none. */
export async function snapshot(dir: string): Promise<Record<string, string> | undefined> {
  if (!existsSync(dir)) return undefined;
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = await Promise.all(
    files.map(async (file) => [file.slice(dir.length + 1), (await readFile(file)).toString("base64")] as const),
  );
  return Object.fromEntries(contents.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export async function readJson<T = Record<string, number>>(...path: string[]): Promise<T> {
  return JSON.parse(await readFile(join(...path), "utf8")) as T;
}

/** What a run logged, without the clock's figures. */
export async function logged(dir: string): Promise<Record<string, number>[]> {
  const { log_history } = await readJson<TrainerState>(dir, "trainer_state.json");
  return log_history.map((row) =>
    Object.fromEntries(Object.entries(row).filter(([key]) => !/runtime|per_second/.test(key))),
  );
}

/** The steps at which a key was logged. */
export async function stepsWith(dir: string, key: string): Promise<(number | undefined)[]> {
  return (await logged(dir)).filter((row) => key in row).map(({ step }) => step);
}

/** The numbers of the checkpoints in a folder. */
export async function checkpoints(dir: string): Promise<number[]> {
  const names = await readdir(dir);
  const steps = names.flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []);
  return steps.map(Number).sort((a, b) => a - b);
}
