/** Where a hostile case breaks one thing: copies of a toy model, an adapter, a checkpoint and text, in a folder of its own. */
import { execFileSync } from "node:child_process";
import { cp, mkdir, open, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Flags, Toys } from "@medgpt/core/testing";

export interface HostileCase {
  readonly what: string;
  /** Makes the input and returns the flags that give it to `medgpt pretrain`. */
  readonly flags: (box: Sandbox) => Promise<Flags> | Flags;
  /** What the one line says after "error: "; %s stands for the case's folder. */
  readonly error: string | RegExp;
  /** More of the command line, for what no value of a flag can be. */
  readonly more?: readonly string[];
  /** Run it in a process of its own too. */
  readonly process?: true;
}

type Json = Record<string, unknown>;
/** An entry of a safetensors header. */
export type Entry = { dtype: unknown; shape: unknown; data_offsets: unknown } & Json;

/** Runs that cases start from, made on first use and copied from then on. */
export class Prototypes {
  #adapter: Promise<string> | undefined;
  #run: Promise<string> | undefined;

  constructor(readonly toys: Toys) {}

  /** An adapter of rank 8 on q_proj of the llama, with its manifest. */
  adapter(): Promise<string> {
    this.#adapter ??= this.toys.run("made", { max_steps: 1, target_modules: "q_proj" }).then(({ dir }) => dir);
    return this.#adapter;
  }

  /** A run of 4 steps that was interrupted after the checkpoint of the second. */
  run(): Promise<string> {
    this.#run ??= this.toys.run("interrupted", CHECKPOINTED).then(async ({ dir }) => {
      await rm(join(dir, "checkpoint-4"), { recursive: true });
      return dir;
    });
    return this.#run;
  }
}

const CHECKPOINTED = { max_steps: 4, save_strategy: "steps", save_steps: 2 };

export class Sandbox {
  constructor(
    readonly dir: string,
    readonly prototypes: Prototypes,
  ) {}

  at(...path: string[]): string {
    return join(this.dir, ...path);
  }

  /** Writes a file of the case, folders included. */
  async write(path: string, data: string | Uint8Array): Promise<void> {
    await mkdir(join(this.at(path), ".."), { recursive: true });
    await writeFile(this.at(path), data);
  }

  /** A copy of a toy model, changed by `change`, which gets paths inside of it. */
  async model(change: (at: (file: string) => string) => Promise<unknown>, family = "llama"): Promise<Flags> {
    await cp(this.prototypes.toys.at(family), this.at("model"), { recursive: true });
    await change((file) => this.at("model", file));
    return { model_name_or_path: this.at("model") };
  }

  /** The same with one file of it replaced; undefined takes it away. */
  modelWith(file: string, data: string | Uint8Array | undefined): Promise<Flags> {
    return this.model((at) => (data === undefined ? rm(at(file)) : writeFile(at(file), data)));
  }

  /** The same with keys of its config.json changed. */
  config(change: Json, family = "llama"): Promise<Flags> {
    return this.model((at) => editJson(at("config.json"), (config) => ({ ...config, ...change })), family);
  }

  /** The same with its tokenizer.json changed in place. */
  tokenizer(change: (tokenizer: TokenizerJson) => unknown): Promise<Flags> {
    return this.model((at) =>
      editJson(at("tokenizer.json"), (tokenizer) => {
        change(tokenizer as unknown as TokenizerJson);
        return tokenizer;
      }),
    );
  }

  /** The same with its only weight file replaced by a header (JSON, text or bytes) and data. */
  weights(header: unknown, data: Uint8Array = new Uint8Array()): Promise<Flags> {
    return this.modelWith("model.safetensors", safetensors(header, data));
  }

  /** The same with the header of its weight file changed in place. */
  header(change: (header: Record<string, Entry>) => unknown): Promise<Flags> {
    return this.model((at) => editHeader(at("model.safetensors"), change));
  }

  /** The same with the header's text changed. */
  headerText(change: (text: string) => string): Promise<Flags> {
    return this.model(async (at) => {
      const [header, data] = await readSafetensors(at("model.safetensors"));
      await writeFile(at("model.safetensors"), safetensors(change(JSON.stringify(header)), data));
    });
  }

  /** The same with its weights in one shard, and the index that `index` makes of it. */
  index(index: (map: Record<string, unknown>) => unknown, shard = "model-00001-of-00001.safetensors"): Promise<Flags> {
    return this.model(async (at) => {
      const [header, data] = await readSafetensors(at("model.safetensors"));
      await rm(at("model.safetensors"));
      await writeFile(at(shard), safetensors(header, data));
      const made = index(
        Object.fromEntries(Object.keys(header).flatMap((key) => (key === "__metadata__" ? [] : [[key, shard]]))),
      );
      await writeFile(at("model.safetensors.index.json"), typeof made === "string" ? made : JSON.stringify(made));
    });
  }

  /** A copy of the adapter, changed; without its manifest unless `sealed`, for which any change would be one too many. */
  async adapter(change: (at: (file: string) => string) => Promise<unknown>, sealed = false): Promise<Flags> {
    await cp(await this.prototypes.adapter(), this.at("adapter"), { recursive: true });
    if (!sealed) await rm(this.at("adapter/medgpt.json"));
    await change((file) => this.at("adapter", file));
    return { peft_path: this.at("adapter") };
  }

  /** The same with keys of its adapter_config.json changed. */
  adapterConfig(change: Json): Promise<Flags> {
    return this.adapter((at) => editJson(at("adapter_config.json"), (config) => ({ ...config, ...change })));
  }

  /** The same with keys of its manifest changed, or the manifest replaced by text. */
  manifest(change: string | ((manifest: Manifest) => unknown)): Promise<Flags> {
    return this.adapter(
      (at) =>
        typeof change === "string"
          ? writeFile(at("medgpt.json"), change)
          : editJson(at("medgpt.json"), (manifest) => {
              change(manifest as unknown as Manifest);
              return manifest;
            }),
      true,
    );
  }

  /** A copy of the interrupted run with its checkpoint changed, to be resumed. */
  async checkpoint(change: (at: (file: string) => string) => Promise<unknown>): Promise<Flags> {
    await cp(await this.prototypes.run(), this.at("output"), { recursive: true });
    await change((file) => this.at("output/checkpoint-2", file));
    return { ...CHECKPOINTED, output_dir: this.at("output"), resume_from_checkpoint: true };
  }

  /** The same with one file of it replaced; undefined takes it away. */
  checkpointWith(file: string, data: string | Uint8Array | undefined): Promise<Flags> {
    return this.checkpoint((at) => (data === undefined ? rm(at(file)) : writeFile(at(file), data)));
  }

  /** The same with keys of its trainer_state.json changed. */
  state(change: Json): Promise<Flags> {
    return this.checkpoint((at) => editJson(at("trainer_state.json"), (state) => ({ ...state, ...change })));
  }

  /** A folder with one file of text to train on. */
  async text(name: string, data: string | Uint8Array): Promise<Flags> {
    await this.write(`text/${name}`, data);
    return { train_file_dir: this.at("text") };
  }

  /** A configuration file. */
  async file(name: string, data: string | Uint8Array): Promise<Flags> {
    await this.write(name, data);
    return { config: this.at(name) };
  }
}

interface TokenizerJson {
  added_tokens: unknown;
  normalizer: unknown;
  pre_tokenizer: unknown;
  post_processor: unknown;
  decoder: unknown;
  model: Json & { vocab: Record<string, unknown>; merges: unknown[] };
}

interface Manifest {
  medgpt: unknown;
  kind: unknown;
  inputs: unknown;
  files: Record<string, { bytes: unknown; sha256: unknown }>;
  details: unknown;
}

/** Text nested so deep that a recursive walk of its value would exhaust the stack. */
export const DEEP = "[".repeat(100_000) + "]".repeat(100_000);

/** A safetensors file with this header, right or not. */
export function safetensors(header: unknown, data: Uint8Array = new Uint8Array(), claimed?: bigint): Buffer {
  const bytes =
    header instanceof Uint8Array ? header : Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(bytes.length));
  return Buffer.concat([length, bytes, data]);
}

export async function readSafetensors(path: string): Promise<[Record<string, Entry>, Buffer]> {
  const bytes = await readFile(path);
  const end = 8 + Number(bytes.readBigUInt64LE());
  return [JSON.parse(bytes.toString("utf8", 8, end)) as Record<string, Entry>, bytes.subarray(end)];
}

export async function editHeader(path: string, change: (header: Record<string, Entry>) => unknown): Promise<void> {
  const [header, data] = await readSafetensors(path);
  change(header);
  await writeFile(path, safetensors(header, data));
}

export async function editJson(path: string, change: (value: Json) => unknown): Promise<void> {
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, "utf8")) as Json)));
}

/** Replaces what is there by a pipe that nobody writes to: who opens it waits for ever. */
export async function pipe(path: string): Promise<void> {
  await rm(path, { force: true, recursive: true });
  execFileSync("mkfifo", [path]);
}

/** Replaces what is there by a folder. */
export async function folder(path: string): Promise<void> {
  await rm(path, { force: true, recursive: true });
  await mkdir(path);
}

/** Replaces what is there by a link. */
export async function link(path: string, target: string): Promise<void> {
  await rm(path, { force: true, recursive: true });
  await symlink(target, path);
}

/** Makes a file of that many bytes, none of which takes space on the disk. */
export async function sparse(path: string, bytes: number): Promise<void> {
  await (await open(path, "a")).close();
  await truncate(path, bytes);
}
