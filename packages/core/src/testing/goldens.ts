/** The reference results that the tests compare with: where they are, and their tensors as batches. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
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

/**
 * The names of a section's cases whose case.json has all of these keys ("results.0.text" looks into lists and objects), in
 * order. What a case is shows in its keys; its name says nothing, so that another set of references will do.
 */
export function goldenCases(section: string, ...keys: readonly string[]): string[] {
  if (!hasGoldens || !existsSync(goldenDir(section))) return [];
  return readdirSync(goldenDir(section))
    .filter((name) => {
      if (!existsSync(goldenDir(section, name, "case.json"))) return false;
      const read = readCase<unknown>(goldenDir(section, name));
      return keys.every((key) => valueAt(read, key.split(".")) !== undefined);
    })
    .sort();
}

function valueAt(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined || value === null || typeof value !== "object") return key === undefined ? value : undefined;
  return valueAt((value as Record<string, unknown>)[key], rest);
}

/** The names of models of A that have this file. */
export function goldenModels(file = "config.json"): string[] {
  return goldenCases("A_models").filter((name) => existsSync(goldenDir("A_models", name, file)));
}

/** The folder of a model of this type, whole and in one file, where the references have one. */
export function goldenModel(modelType: string): string | undefined {
  const name = goldenModels("model.safetensors").find(
    (name) =>
      existsSync(goldenDir("A_models", name, "tokenizer.json")) &&
      readCase<{ model_type?: string }>(goldenDir("A_models", name), "config.json").model_type === modelType,
  );
  return name === undefined ? undefined : goldenDir("A_models", name);
}

/** Whether the inputs of users' reports are there, as hasGoldens. */
export const hasCases = hasGoldens && existsSync(join(sharedDir, "cases"));

/** SHA-256 of the weights that the adapters and answers of the cases were made with. */
const CASE_WEIGHTS = "55027992aafa88ec6ef25239116b7e35c0f431b37fbf514c664a779d99a24c42";

/** The model that the cases were made with, which another set of references need not have. */
export const caseModel: string | undefined = ((): string | undefined => {
  if (!hasCases) return undefined;
  const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
  return goldenModels("model.safetensors")
    .map((name) => goldenDir("A_models", name))
    .find((dir) => digest(join(dir, "model.safetensors")) === CASE_WEIGHTS);
})();

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
