import { stat } from "node:fs/promises";
import { join } from "node:path";
import { InputError, type HubOrigin } from "@medgpt/artifacts";
import { isJsonObject, readJsonObject } from "../json/read-json-object.js";
import { TOKENIZER_FILES } from "../tokenizer/load-tokenizer.js";
import type { HubConnection } from "./connection.js";
import { isRepositoryId } from "./repository.js";
import { placeOf, type HubSource } from "./request.js";
import { withNamedSnapshot, type Snapshot } from "./snapshot.js";

export interface ResolvedFolder {
  readonly dir: string;
  /** undefined for a folder that was here already. */
  readonly hub?: HubOrigin;
}

const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/** The files that are fetched: first those that must be there or may be, then the weights. */
const FILES = {
  model: { required: "config.json", optional: ["generation_config.json", ...TOKENIZER_FILES] },
  adapter: { required: "adapter_config.json", optional: [] },
  tokenizer: { required: "tokenizer.json", optional: ["config.json", ...TOKENIZER_FILES] },
};

/**
 * The folder that a name means: the folder of that name if there is one, else the files of that repository on the hub, in the cache.
 * Weights are fetched as safetensors only, and nothing but what a model, an adapter or a tokenizer is loaded from.
 * @param name a folder, or "name" or "owner/name" on the hub; any other text is returned for the opener to complain of
 * @param revision a branch, a tag or a commit
 * @throws InputError where the repository cannot be had or has no such files
 */
export async function resolveModel(
  name: string,
  kind: "model" | "adapter" | "tokenizer",
  connection: HubConnection,
  revision = "main",
): Promise<ResolvedFolder> {
  const isHere = await stat(name).then(
    () => true,
    () => false,
  );
  if (isHere || !isRepositoryId(name)) return { dir: name };
  const source: HubSource = { type: "model", id: name, revision, connection };
  return withNamedSnapshot(source, async (snapshot) => {
    const { required, optional } = FILES[kind];
    const has = new Set(snapshot.paths);
    if (!has.has(required)) throw lacks(source, snapshot, required, kind);
    await snapshot.fetch([...new Set([required, ...optional])].filter((path) => has.has(path)));
    // Last, so that weights in the cache mean that the rest is there.
    if (kind !== "tokenizer") await snapshot.fetch(await weightFiles(source, snapshot, kind));
    return { dir: snapshot.dir, hub: { id: name, commit: snapshot.commit } };
  });
}

async function weightFiles(source: HubSource, snapshot: Snapshot, kind: "model" | "adapter"): Promise<string[]> {
  const has = new Set(snapshot.paths);
  const single = kind === "model" ? WEIGHTS : "adapter_model.safetensors";
  if (has.has(single)) return [single];
  if (kind === "adapter" || !has.has(INDEX)) throw lacks(source, snapshot, single, kind);
  await snapshot.fetch([INDEX]);
  const map = (await readJsonObject(join(snapshot.dir, INDEX)))?.["weight_map"];
  const shards = [...new Set(isJsonObject(map) ? Object.values(map) : [])];
  for (const shard of shards)
    if (typeof shard !== "string" || !has.has(shard)) throw lacks(source, snapshot, String(shard), kind);
  return shards as string[];
}

function lacks(source: HubSource, { paths, dir, cached }: Snapshot, file: string, kind: string): InputError {
  const place = placeOf(source);
  const pickled = paths.find((path) => /^[^/]+\.(bin|pth?|ckpt|h5|msgpack)$/.test(path));
  if (file.endsWith(".safetensors") && pickled !== undefined)
    return new InputError(
      `the repository has no safetensors weights, only ${pickled}, which is not read; take a repository or a --model_revision with safetensors, or convert it once in Python with from_pretrained and save_pretrained`,
      { place },
    );
  if (kind === "model" && paths.includes("adapter_config.json"))
    return new InputError("this is an adapter and no model; give its base here and the adapter with --peft_path", {
      place,
    });
  const where = cached ? `the copy in the cache (${dir})` : "the repository";
  return new InputError(`expected ${article(kind)} ${kind}, but ${where} has no ${file}`, { place });
}

function article(kind: string): string {
  return kind === "adapter" ? "an" : "a";
}
