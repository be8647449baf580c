/** Writing the weights of a whole model, in shards where they are large, as transformers' save_pretrained splits them. */
import { join } from "node:path";
import { InputError, writeFileAtomic } from "@medgpt/artifacts";
import { byteLength, writeSafetensors, type TensorToWrite } from "./safetensors.js";
import { INDEX, SINGLE } from "./shards.js";

const UNITS: Readonly<Record<string, number>> = { KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/**
 * Bytes of a size as the Hugging Face libraries write it: "5GB", "500MB", or a number of bytes. Units are decimal.
 * @throws InputError for anything else
 */
export function parseShardSize(text: string): number {
  const [, number = "", unit = ""] = /^\s*(\d+\.?\d*)\s*([KMGT]B)?\s*$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * (UNITS[unit.toUpperCase()] ?? 1));
  if (number === "" || bytes < 1)
    throw new InputError(`expected a size such as 5GB, 500MB or a number of bytes, got "${text}"`);
  return bytes;
}

/**
 * Cuts tensors into shards in their order: a shard ends before the tensor that would make it larger than the limit, and
 * a tensor larger than that is a shard by itself (huggingface_hub's split_state_dict_into_shards_factory).
 */
export function splitIntoShards<T extends Pick<TensorToWrite, "dtype" | "shape">>(
  tensors: readonly T[],
  maxShardBytes: number,
): T[][] {
  const shards: T[][] = [];
  let current: T[] = [];
  let size = 0;
  for (const tensor of tensors) {
    const bytes = byteLength(tensor.dtype, tensor.shape);
    if (bytes > maxShardBytes) {
      shards.push([tensor]);
      continue;
    }
    if (size + bytes > maxShardBytes) {
      shards.push(current);
      [current, size] = [[], 0];
    }
    current.push(tensor);
    size += bytes;
  }
  if (current.length > 0) shards.push(current);
  return shards;
}

/**
 * Writes model.safetensors or, beyond `maxShardBytes`, model-00001-of-0000N.safetensors and their index.
 * @returns the names of the files
 */
export async function writeCheckpoint(
  dir: string,
  tensors: readonly TensorToWrite[],
  maxShardBytes: number,
): Promise<string[]> {
  const shards = splitIntoShards(tensors, maxShardBytes);
  if (shards.length === 1) {
    await writeSafetensors(join(dir, SINGLE), tensors);
    return [SINGLE];
  }
  const five = (number: number): string => String(number).padStart(5, "0");
  const files: string[] = [];
  const places: [string, string][] = [];
  for (const [index, shard] of shards.entries()) {
    const file = `model-${five(index + 1)}-of-${five(shards.length)}.safetensors`;
    await writeSafetensors(join(dir, file), shard);
    files.push(file);
    places.push(...shard.map(({ name }): [string, string] => [name, file]));
  }
  const sum = (of: (tensor: TensorToWrite) => number): number => tensors.reduce((total, each) => total + of(each), 0);
  const index = {
    metadata: {
      total_parameters: sum(({ shape }) => shape.reduce((product, extent) => product * extent, 1)),
      total_size: sum(({ dtype, shape }) => byteLength(dtype, shape)),
    },
    weight_map: Object.fromEntries(places.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  await writeFileAtomic(join(dir, INDEX), JSON.stringify(index, undefined, 2) + "\n");
  return [...files, INDEX];
}
