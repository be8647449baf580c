/** Which files make up each kind, and which names a manifest may list. */
import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { MANIFEST_FILE, type ArtifactKind, type Details } from "./artifact.js";
import { ArtifactError } from "./artifact-error.js";
import { checkSafetensors } from "./check-safetensors.js";
import { readJson } from "./read-json.js";

export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "vocab.txt",
  "tokenizer.model",
];
export const WEIGHTS = "model.safetensors";
export const WEIGHTS_INDEX = "model.safetensors.index.json";
export const ADAPTER_WEIGHTS = "adapter_model.safetensors";

/** Files without which a folder is not of the kind; an inner list means one of these. */
const REQUIRED: Record<ArtifactKind, readonly (readonly string[])[]> = {
  tokenizer: [["tokenizer.json"]],
  dataset: [],
  "causal-lm": [["config.json"], [WEIGHTS, WEIGHTS_INDEX]],
  adapter: [["adapter_config.json"], [ADAPTER_WEIGHTS]],
  "reward-model": [["config.json"], [WEIGHTS, WEIGHTS_INDEX]],
};

/** Throws unless `files` hold what `kind` needs, its index's shards and its splits' files included. */
export async function checkRequiredFiles<K extends ArtifactKind>(
  dir: string,
  kind: K,
  details: Details[K],
  files: ReadonlySet<string>,
): Promise<void> {
  const need = [...REQUIRED[kind]];
  if (kind === "dataset") {
    for (const split of Object.values((details as Details["dataset"]).splits)) {
      need.push(...split.files.map((file) => [file]));
    }
  }
  if (files.has(WEIGHTS_INDEX)) need.push(...(await readShardNames(dir)).map((file) => [file]));
  for (const choice of need) {
    if (!choice.some((file) => files.has(file))) {
      throw new ArtifactError(`a ${kind} needs ${choice.join(" or ")}, and it is not among the artifact's files`, {
        reason: "missing",
        path: dir,
        expectedKind: [kind],
      });
    }
  }
}

/** The shard files that model.safetensors.index.json names, each once. */
export async function readShardNames(dir: string): Promise<string[]> {
  const index = await readJson(dir, WEIGHTS_INDEX);
  const map = index["weight_map"];
  const names = typeof map === "object" && map !== null ? [...new Set<unknown>(Object.values(map))] : [];
  if (names.length === 0 || !names.every((name) => typeof name === "string")) {
    throw new ArtifactError('expected "weight_map" to name the shard of every tensor', {
      reason: "bad-file",
      path: dir,
      file: WEIGHTS_INDEX,
    });
  }
  for (const name of names) checkInnerName(dir, name);
  return names;
}

/** Elements over all safetensors files of the list; throws on one that is cut short. */
export async function checkWeights(dir: string, files: Iterable<string>): Promise<number> {
  let elements = 0;
  for (const file of files) if (file.endsWith(".safetensors")) elements += await checkSafetensors(dir, file);
  return elements;
}

/** Throws unless `name` is a plain relative path: parts joined by "/", none of them empty, "." or "..". */
export function checkInnerName(dir: string, name: string): void {
  const parts = name.split("/");
  const plain = !/[\\:\0]/.test(name) && parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (!plain || name === MANIFEST_FILE) {
    throw new ArtifactError(`the name ${JSON.stringify(name)} does not name a file inside the folder`, {
      reason: "path-escape",
      path: dir,
      file: name,
    });
  }
}

/**
 * Size of a listed file, after a check that it lies inside the folder when links are followed.
 * A snapshot in the Hugging Face cache (…/REPOSITORY/snapshots/REVISION) consists of links into …/REPOSITORY/blobs, which
 * may lead on into …/blobs, where repositories share what they have in common; both count as inside.
 */
export async function innerFileSize(dir: string, name: string): Promise<number> {
  checkInnerName(dir, name);
  const path = join(dir, name);
  let size: number;
  let real: string;
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new Error("not a file");
    size = info.size;
    real = await realpath(path);
  } catch (cause) {
    throw new ArtifactError("expected this file, and it is not there; the artifact is incomplete", {
      reason: "missing",
      path: dir,
      file: name,
      cause,
    });
  }
  const root = await realpath(dir);
  const cached = basename(dirname(root)) === "snapshots";
  const roots = cached ? [root, join(root, "../../blobs"), join(root, "../../../blobs")] : [root];
  if (!roots.some((each) => real.startsWith(each + sep))) {
    throw new ArtifactError(`is a link to ${real}, out of the folder; put the file itself there`, {
      reason: "path-escape",
      path: dir,
      file: name,
    });
  }
  return size;
}

/**
 * Paths of all files in a folder, inner folders included, sorted by code unit, with "/" between parts. Hidden ones, links to
 * folders and the manifest are left out.
 */
export async function listFiles(dir: string, inner = ""): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(join(dir, inner), { withFileTypes: true })) {
    const name = inner === "" ? entry.name : `${inner}/${entry.name}`;
    if (entry.name.startsWith(".") || name === MANIFEST_FILE) continue;
    if (entry.isDirectory()) names.push(...(await listFiles(dir, name)));
    else if (entry.isFile() || (entry.isSymbolicLink() && (await isFile(join(dir, name))))) names.push(name);
  }
  return inner === "" ? names.sort() : names;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}

/** Whether anything, a dangling link included, has this path. */
export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
