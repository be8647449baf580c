import { join } from "node:path";
import { ArtifactError } from "./artifact-error.js";
import { readJsonText } from "./read-json-text.js";

/** The object in a JSON file of an artifact's folder. */
export async function readJson(dir: string, file: string): Promise<Record<string, unknown>> {
  const text = await readJsonText(join(dir, file));
  let value: unknown;
  try {
    value = JSON.parse(text ?? "");
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new ArtifactError(`expected JSON, but ${problem}`, { reason: "bad-file", path: dir, file, cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ArtifactError(`expected a JSON object, found ${Array.isArray(value) ? "a list" : String(value)}`, {
      reason: "bad-file",
      path: dir,
      file,
    });
  }
  return value as Record<string, unknown>;
}
