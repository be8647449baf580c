/** Opening artifacts: nothing is believed that the files themselves do not bear out. */
import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import {
  MANIFEST_FILE,
  type AnyArtifact,
  type Artifact,
  type ArtifactKind,
  type ArtifactRef,
  type DatasetArtifact,
  type DatasetFormat,
  type Manifest,
} from "./artifact.js";
import { ArtifactError } from "./artifact-error.js";
import { parseManifest } from "./check-manifest.js";
import { fileDigest, textDigest } from "./file-digest.js";
import { inferKind, inferredManifest } from "./infer-manifest.js";
import { checkRequiredFiles, checkWeights, exists, innerFileSize } from "./layout.js";
import { readJsonText } from "./read-json-text.js";

export interface OpenOptions {
  /**
   * How far to check the files against the manifest: their bytes ("digest", the default) or their sizes alone. A plain
   * Hugging Face folder is hashed either way, because its digest comes from nothing else.
   */
  verify?: "digest" | "size";
  /** Told the bytes hashed so far and in all, while hashing. */
  onProgress?: (done: number, total: number) => void;
}

/** Name of the folder in which `writeArtifact` gathers the files of `dir` until they are complete. */
export const STAGING_NAME = /^\..+\.partial-[0-9a-f]+$/;

/** Name of the folder in which a run's whole result lies until all of it is in its place in the folder around it. */
export const UNPLACED_RESULT = /^\.result\.(after-\d+|moving)$/;

/**
 * Opens a folder as an artifact of the given kind, or of one of several kinds.
 *
 * With a `medgpt.json`, its version and kind are checked, and that every file it lists lies in the folder with the size and
 * sha256 that it says. Without one, the kind is inferred (`inferred: true`): adapter_config.json makes an adapter, config.json
 * with weights a causal-lm, or a reward-model when an architecture ends in ForSequenceClassification, tokenizer.json a
 * tokenizer, and .jsonl, .json, .txt and .parquet files a dataset whose format is that of the first row.
 *
 * @throws {ArtifactError} with the reason, the folder, the file and the kinds as fields
 */
export async function openArtifact<K extends ArtifactKind>(
  dir: string,
  kind: K | readonly K[],
  options: OpenOptions = {},
): Promise<AnyArtifact<K>> {
  const kinds: readonly K[] = typeof kind === "string" ? [kind] : kind;
  const path = resolve(dir);
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    const what = found === undefined ? "there is no folder of this name" : "this is a file";
    throw new ArtifactError(`expected the folder of ${named(kinds)}, but ${what}`, {
      reason: "missing",
      path,
      expectedKind: kinds,
    });
  }
  if ((await readdir(path)).some((name) => UNPLACED_RESULT.test(name)))
    throw new ArtifactError(
      "a run was killed while it put its result here; give its command again with --resume_from_checkpoint True, and the rest is put in its place",
      { reason: "half-written", path },
    );
  const artifact = (await exists(join(path, MANIFEST_FILE)))
    ? await openSealed(path, kinds, options)
    : await openPlain(path, kinds, options);
  return artifact as AnyArtifact<K>;
}

/**
 * Opens a dataset of one of the given formats.
 *
 * @throws {ArtifactError} as `openArtifact` does, and with reason "wrong-format"
 */
export async function openDataset<F extends DatasetFormat>(
  dir: string,
  format: F | readonly F[],
  options: OpenOptions = {},
): Promise<DatasetArtifact<F>> {
  const formats: readonly F[] = typeof format === "string" ? [format] : format;
  const dataset = await openArtifact(dir, "dataset", options);
  const found = dataset.manifest.details.format;
  if (!formats.includes(found as F)) {
    const needed = formats.map((each) => `"${each}"`).join(" or ");
    throw new ArtifactError(`the dataset has format "${found}"; expected ${needed}; convert it first`, {
      reason: "wrong-format",
      path: dataset.dir,
      expectedFormat: formats,
      foundFormat: found,
    });
  }
  return dataset as DatasetArtifact<F>;
}

/**
 * Opens the artifact that a reference points to, and checks that its bytes are still those it was made with.
 *
 * @throws {ArtifactError} as `openArtifact` does, and with reason "digest" when the artifact is another one now
 */
export async function openRef<K extends ArtifactKind>(
  ref: ArtifactRef<K>,
  options: OpenOptions = {},
): Promise<AnyArtifact<K>> {
  const artifact = await openArtifact<K>(ref.path, ref.kind, options);
  if (ref.digest !== null && artifact.digest !== ref.digest) {
    throw new ArtifactError(
      `this ${ref.kind} is not the one that was used: its digest is ${short(artifact.digest)}, expected ${short(ref.digest)}`,
      { reason: "digest", path: artifact.dir },
    );
  }
  return artifact;
}

async function openSealed(dir: string, kinds: readonly ArtifactKind[], options: OpenOptions): Promise<Artifact> {
  const text = (await readJsonText(join(dir, MANIFEST_FILE))) ?? "";
  const manifest = parseManifest(dir, text);
  requireKind(dir, manifest.kind, kinds);
  const names = Object.keys(manifest.files);
  for (const [name, { bytes }] of Object.entries(manifest.files)) {
    const size = await innerFileSize(dir, name);
    if (size !== bytes) {
      throw new ArtifactError(`has ${size} bytes; the manifest says ${bytes}, so it was cut short or changed`, {
        reason: "size",
        path: dir,
        file: name,
      });
    }
  }
  await checkRequiredFiles(dir, manifest.kind, manifest.details, new Set(names));
  await checkWeights(dir, names);
  if (options.verify !== "size") {
    const now = await hashFiles(dir, names, options);
    for (const name of names) {
      if (now[name]?.sha256 !== manifest.files[name]?.sha256) {
        throw new ArtifactError(
          "its bytes are not those that the manifest lists; it was changed after it was written",
          {
            reason: "digest",
            path: dir,
            file: name,
          },
        );
      }
    }
  }
  return { kind: manifest.kind, dir, digest: textDigest(text), inferred: false, manifest };
}

async function openPlain(dir: string, kinds: readonly ArtifactKind[], options: OpenOptions): Promise<Artifact> {
  if (STAGING_NAME.test(basename(dir))) {
    throw new ArtifactError("is what an interrupted run left behind; delete it and run again", {
      reason: "half-written",
      path: dir,
    });
  }
  const found = await inferKind(dir);
  requireKind(dir, found.kind, kinds);
  const manifest = inferredManifest(found, await hashFiles(dir, found.files, options));
  return { kind: found.kind, dir, digest: textDigest(JSON.stringify(manifest)), inferred: true, manifest };
}

/** The kinds as messages call them. */
const NAMES: Readonly<Record<ArtifactKind, string>> = {
  "causal-lm": "a model",
  "reward-model": "a reward model",
  adapter: "an adapter",
  dataset: "a data set",
  tokenizer: "a tokenizer",
};

function named(kinds: readonly ArtifactKind[]): string {
  return kinds.map((kind) => NAMES[kind]).join(" or ");
}

function requireKind(dir: string, found: ArtifactKind, kinds: readonly ArtifactKind[]): void {
  if (kinds.includes(found)) return;
  const advice = found === "adapter" && kinds.includes("causal-lm") ? "; merge it into its base first" : "";
  throw new ArtifactError(`expected ${named(kinds)}, found ${NAMES[found]}${advice}`, {
    reason: "wrong-kind",
    path: dir,
    expectedKind: kinds,
    foundKind: found,
  });
}

/** Sizes and digests of files in a folder, in the order of the names. */
export async function hashFiles(
  dir: string,
  names: readonly string[],
  { onProgress }: Pick<OpenOptions, "onProgress"> = {},
): Promise<Manifest["files"]> {
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(dir, name))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  const files: [string, { bytes: number; sha256: string }][] = [];
  for (const [index, name] of names.entries()) {
    const sha256 = await fileDigest(join(dir, name), (count) => onProgress?.((done += count), total));
    files.push([name, { bytes: sizes[index]!, sha256 }]);
  }
  return Object.fromEntries(files);
}

const short = (digest: string): string => digest.slice(0, 12);
