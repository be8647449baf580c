/** Toy models and runs of a stage on them, in a folder for temporary files. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import { chooseBackend } from "../backends/choose.js";
import { parseFlags } from "../config/flags.js";
import { runCommand, type Command, type CommandIo } from "../config/run-command.js";
import { initCausalLm } from "../models/init.js";
import type { RunEvent } from "../run/run-context.js";
import type { TrainerState } from "../training/trainer-state.js";

const repository = fileURLToPath(new URL("../../../../", import.meta.url));
/** The folder of synthetic data. */
export const sample = join(repository, "datasets/sample");
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

/** A folder with a toy model a family, and what a test writes there. */
export class Toys {
  private constructor(
    readonly dir: string,
    readonly stage: Command,
    readonly defaults: (toys: Toys) => Flags,
  ) {}

  /** @param defaults the flags of a short run, where it does not say otherwise */
  static async make<S extends z.ZodObject>(stage: Command<S>, defaults: (toys: Toys) => Flags): Promise<Toys> {
    const dir = await mkdtemp(join(tmpdir(), `medgpt-${stage.name}-`));
    const toys = new Toys(dir, stage, defaults);
    for (const family of FAMILIES) await initCausalLm(toys.at(family), CONFIGS[family], join(sample, "tokenizer"), 7);
    return toys;
  }

  remove(): Promise<void> {
    return rm(this.dir, { recursive: true, force: true });
  }

  readonly at = (...path: string[]): string => join(this.dir, ...path);

  /** Writes a file, folders included, and returns its path. */
  async write(path: string, data: string | Uint8Array): Promise<string> {
    const file = this.at(path);
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, data);
    return file;
  }

  /** Copies a model's folder and returns the copy's path. */
  async copy(from: string, to: string): Promise<string> {
    await cp(this.at(from), this.at(to), { recursive: true });
    return this.at(to);
  }

  /** A short run into `output`, as arguments; `flags` win, undefined takes one away. */
  argv(output: string, flags: Flags = {}): string[] {
    const all: Flags = { ...this.defaults(this), output_dir: this.at(output), ...flags };
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
    const { config, given } = parseFlags(this.stage.config, this.argv(output, flags));
    const events: RunEvent[] = [];
    const log = (event: RunEvent): void => {
      events.push(event);
      onEvent(event);
    };
    await this.stage.run(config, signal === undefined ? { log } : { log, signal }, { given });
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
    const code = await runCommand(this.stage, argv, io as unknown as CommandIo);
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
  onOutput: (stdout: string, send: (signal: "SIGINT" | "SIGTERM" | "SIGKILL") => void) => void = () => {},
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
