import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";

/**
 * A file written less than this long ago is hashed again the next time: file times advance in ticks of some milliseconds,
 * and a second write within one tick would leave size and time as they were.
 */
const SETTLED_AFTER_MS = 2_000;

const digests = new Map<string, string>();

/**
 * sha256 of a file, lower-case hex. Digests of settled files are kept for the life of the process, by device, inode, size
 * and modification time, so that a chain of stages reads each weight file once.
 *
 * @param onBytes called with the length of each block as it is hashed, or once with the whole length when it is known already
 */
export async function fileDigest(path: string, onBytes?: (count: number) => void): Promise<string> {
  const { dev, ino, size, mtimeNs, mtimeMs } = await stat(path, { bigint: true });
  const key = `${dev}:${ino}:${size}:${mtimeNs}`;
  const known = digests.get(key);
  if (known !== undefined) {
    onBytes?.(Number(size));
    return known;
  }
  const settled = Date.now() - Number(mtimeMs) > SETTLED_AFTER_MS;
  const hash = createHash("sha256");
  for await (const block of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(block);
    onBytes?.(block.length);
  }
  const digest = hash.digest("hex");
  if (settled) digests.set(key, digest);
  return digest;
}

export function textDigest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
