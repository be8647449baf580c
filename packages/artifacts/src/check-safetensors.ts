import { open } from "node:fs/promises";
import { join } from "node:path";
import { ArtifactError } from "./artifact-error.js";
import { nestsTooDeeply } from "./read-json-text.js";

/**
 * The safetensors library refuses headers above 100 MB. Real ones stay under 1 MB (about 100 bytes a tensor); a larger
 * length means that the first eight bytes are not a length.
 */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Checks that a safetensors file is as long as its header says, without reading the data, and counts its elements.
 * Reading tensors is not this package's job.
 *
 * @returns the number of elements over all tensors
 */
export async function checkSafetensors(dir: string, file: string): Promise<number> {
  const refuse = (reason: "size" | "bad-file", what: string): never => {
    throw new ArtifactError(`expected a complete safetensors file, but ${what}; copy or download it again`, {
      reason,
      path: dir,
      file,
    });
  };
  const handle = await open(join(dir, file));
  let size: number;
  let headerBytes: number;
  let headerText: string;
  try {
    size = (await handle.stat()).size;
    if (size < 8) refuse("size", `it has ${size} bytes`);
    const { buffer: length } = await handle.read(Buffer.alloc(8), 0, 8, 0);
    headerBytes = Number(length.readBigUInt64LE());
    if (headerBytes > size - 8) refuse("size", `its header of ${headerBytes} bytes reaches beyond its ${size} bytes`);
    if (headerBytes > MAX_HEADER_BYTES) refuse("bad-file", `its header claims ${headerBytes} bytes`);
    headerText = (await handle.read(Buffer.alloc(headerBytes), 0, headerBytes, 8)).buffer.toString("utf8");
  } finally {
    await handle.close();
  }

  if (nestsTooDeeply(headerText)) refuse("bad-file", "its header is nested too deeply");
  let header: unknown;
  try {
    header = JSON.parse(headerText);
  } catch {
    refuse("bad-file", "its header is not JSON");
  }
  if (typeof header !== "object" || header === null) refuse("bad-file", "its header is not an object");

  let elements = 0;
  let dataBytes = 0;
  for (const [name, entry] of Object.entries(header as Record<string, { shape?: unknown; data_offsets?: unknown }>)) {
    if (name === "__metadata__") continue;
    const { shape, data_offsets: offsets } = entry ?? {};
    if (!isLengths(shape) || !isLengths(offsets) || offsets.length !== 2) {
      return refuse("bad-file", `its header says nothing usable of tensor "${name}"`);
    }
    elements += shape.reduce((product, length) => product * length, 1);
    dataBytes = Math.max(dataBytes, offsets[1] ?? 0);
  }
  if (size !== 8 + headerBytes + dataBytes) {
    refuse("size", `its header describes ${8 + headerBytes + dataBytes} bytes and it has ${size}`);
  }
  return elements;
}

function isLengths(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);
}
