/** The reference results that the tests compare with: where they are, and their tensors as batches. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { openSafetensors, readTensorData } from "../checkpoint/safetensors.js";
import type { Row } from "../data/packing/collate.js";

const repository = fileURLToPath(new URL("../../../../", import.meta.url));

/** The shared folder: MEDGPT_SHARED, else ../shared beside the repository. */
export const sharedDir = resolve(process.env.MEDGPT_SHARED ?? join(repository, "../shared"));

/** Whether reference results are there. Under CI they must be. */
export const hasGoldens = ((): boolean => {
  const there = existsSync(join(sharedDir, "goldens"));
  if (!there && process.env.CI === "true")
    throw new Error(`the reference results are missing: ${sharedDir}/goldens; set MEDGPT_SHARED`);
  return there;
})();

export function goldenDir(...parts: string[]): string {
  return join(sharedDir, "goldens", ...parts);
}

/** Whether the inputs of users' reports are there, as hasGoldens. */
export const hasCases = hasGoldens && existsSync(join(sharedDir, "cases"));

export function caseDir(...parts: string[]): string {
  return join(sharedDir, "cases", ...parts);
}

export function readCase<T>(dir: string, file = "case.json"): T {
  return JSON.parse(readFileSync(join(dir, file), "utf8")) as T;
}

export interface Matrix {
  readonly data: Float32Array | Int32Array;
  readonly shape: readonly number[];
}

export async function readTensors(path: string): Promise<Map<string, Matrix>> {
  const entries = [...(await openSafetensors(path)).tensors].map(
    async ([name, info]) => [name, { data: await readTensorData(info), shape: info.shape }] as const,
  );
  return new Map(await Promise.all(entries));
}

/** The rows of a padded batch without their padding, and where in the padded batch each real token was. */
export function unpad(tensors: ReadonlyMap<string, Matrix>, prefix = ""): { rows: Row[]; places: number[] } {
  const get = (name: string) => tensors.get(prefix + name);
  const ids = get("input_ids") as Matrix;
  const [count, width] = ids.shape as [number, number];
  const mask = get("attention_mask")?.data;
  const labels = (get("labels") ?? ids).data;
  const places: number[] = [];
  const rows = Array.from({ length: count }, (_, row) => {
    const real = Array.from({ length: width }, (_, column) => row * width + column).filter(
      (place) => (mask?.[place] ?? 1) === 1,
    );
    places.push(...real);
    return {
      ids: Int32Array.from(real, (place) => ids.data[place] as number),
      labels: Int32Array.from(real, (place) => labels[place] as number),
    };
  });
  return { rows, places };
}
