import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { BYTES } from "../numeric/dtype.js";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";
import { openSafetensors, type TensorInfo } from "./safetensors.js";

export const SINGLE = "model.safetensors";
export const INDEX = "model.safetensors.index.json";

export interface Checkpoint {
  readonly tensors: Map<string, TensorInfo>;
  /** Bytes of all tensors together. */
  readonly totalBytes: number;
  /** The weight files, as names inside the folder. */
  readonly files: readonly string[];
}

/**
 * Finds the weights of a Hugging Face model folder: model.safetensors, else the shards that
 * model.safetensors.index.json lists. Tensors of a shard that the index does not list are left out.
 * @throws InputError where the folder holds neither or a shard lacks what the index promises.
 */
export async function openCheckpoint(dir: string): Promise<Checkpoint> {
  const names = await listFolder(dir);
  if (names.includes(SINGLE)) {
    const { tensors } = await openSafetensors(join(dir, SINGLE));
    return describe(tensors, [SINGLE]);
  }
  if (!names.includes(INDEX)) {
    const pickled = names.find((name) => /\.(bin|pth?|ckpt)(\.index\.json)?$/.test(name));
    throw new InputError(
      pickled === undefined
        ? `expected ${SINGLE} or ${INDEX} in this folder, found neither; give the folder of a Hugging Face model`
        : `only pickled weights (${pickled}) are here and these are not read; convert them once in Python with AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder)`,
      { place: dir },
    );
  }

  const indexPath = join(dir, INDEX);
  const index = await readJsonObject(indexPath);
  const weightMap = index?.["weight_map"];
  if (!isJsonObject(weightMap) || Object.keys(weightMap).length === 0) {
    throw new InputError(`expected a weight_map from tensor names to files, got ${describeJson(weightMap)}`, {
      place: indexPath,
    });
  }
  const shards = new Map<string, Map<string, TensorInfo>>();
  const tensors = new Map<string, TensorInfo>();
  for (const [name, shard] of Object.entries(weightMap)) {
    if (typeof shard !== "string" || !/^[^/\\]+$/.test(shard) || shard === "." || shard === "..") {
      throw new InputError(
        `expected a file name inside the folder for ${describeJson(name)}, got ${describeJson(shard)}`,
        { place: indexPath },
      );
    }
    let inShard = shards.get(shard);
    if (inShard === undefined) {
      if (!names.includes(shard)) {
        throw new InputError(`lists the shard ${shard}, which is not in the folder; fetch it`, { place: indexPath });
      }
      inShard = (await openSafetensors(join(dir, shard))).tensors;
      shards.set(shard, inShard);
    }
    const info = inShard.get(name);
    if (info === undefined) {
      throw new InputError(`says that ${shard} holds tensor ${describeJson(name)}, but it does not; fetch both anew`, {
        place: indexPath,
      });
    }
    tensors.set(name, info);
  }
  return describe(tensors, [...shards.keys()].sort());
}

async function listFolder(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (cause) {
    throw new InputError(
      `expected the folder of a Hugging Face model, but it cannot be listed (${(cause as Error).message})`,
      { place: dir, cause },
    );
  }
}

function describe(tensors: Map<string, TensorInfo>, files: readonly string[]): Checkpoint {
  let totalBytes = 0;
  // Dtypes the engine does not load (a stored I64 buffer, say) are not counted: nobody will hold them.
  for (const { dtype, size } of tensors.values()) totalBytes += dtype === undefined ? 0 : size * BYTES[dtype];
  return { tensors, totalBytes, files };
}
