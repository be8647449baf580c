/** What the weight files of a model hold beside, or in place of, what its config.json promises. */
import { open } from "node:fs/promises";
import { byteLength, type TensorInfo } from "./safetensors.js";
import type { Checkpoint } from "./shards.js";

/** Bytes that are compared at a time. */
const CHUNK = 1 << 20;

/** Tensors that older releases saved and that are computed instead: rotary frequencies, positions, GPT-2's causal masks. */
const COMPUTED = /(^|\.)(rotary_emb\.inv_freq|position_ids|attn\.(masked_)?bias)$/;

/** What a family calls the modules that files may leave out or hold twice. */
export interface WeightNames {
  readonly basePrefix: string;
  readonly embedding: string;
  readonly head: string;
}

/** A weight of a checkpoint; files of a base model leave the prefix of their names out. */
export function findWeight(
  { tensors }: Checkpoint,
  { basePrefix }: Pick<WeightNames, "basePrefix">,
  name: string,
): TensorInfo | undefined {
  return tensors.get(name) ?? tensors.get(name.startsWith(basePrefix) ? name.slice(basePrefix.length) : name);
}

/** Whether the files have an output head that is not the embedding, byte for byte. */
export async function hasOwnHead(checkpoint: Checkpoint, names: WeightNames): Promise<boolean> {
  const head = findWeight(checkpoint, names, `${names.head}.weight`);
  const embedding = findWeight(checkpoint, names, `${names.embedding}.weight`);
  return head !== undefined && embedding !== undefined && !(await sameTensor(head, embedding));
}

/** Whether two stored tensors have the same dtype, shape and bytes. */
export async function sameTensor(one: TensorInfo, other: TensorInfo): Promise<boolean> {
  if (one.dtype === undefined || one.dtype !== other.dtype || one.shape.join() !== other.shape.join()) return false;
  const bytes = byteLength(one.dtype, one.shape);
  const files = await Promise.all([open(one.path), open(other.path)]);
  try {
    const buffers = [Buffer.alloc(CHUNK), Buffer.alloc(CHUNK)] as const;
    for (let done = 0; done < bytes; done += CHUNK) {
      const length = Math.min(CHUNK, bytes - done);
      const parts = await Promise.all(
        [one, other].map(async ({ byteOffset }, index) => {
          const { buffer, bytesRead } = await files[index]!.read(buffers[index]!, 0, length, byteOffset + done);
          return buffer.subarray(0, bytesRead);
        }),
      );
      if (!parts[0]!.equals(parts[1]!)) return false;
    }
    return true;
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

/**
 * A line that names the tensors of a checkpoint that no weight of the model is read from, as transformers' "unexpected
 * keys"; undefined where there is none. What is computed anyway is not counted.
 * @param used the tensors that are
 */
export function unusedTensors({ tensors }: Checkpoint, used: ReadonlySet<TensorInfo>): string | undefined {
  const rest = [...tensors].flatMap(([name, info]) => (used.has(info) || COMPUTED.test(name) ? [] : [name]));
  if (rest.length === 0) return undefined;
  const more = rest.length > 3 ? ` and ${rest.length - 3} more` : "";
  return `left out, because the model of config.json has no such weight: ${rest.slice(0, 3).join(", ")}${more}`;
}
