/** Writing artifacts: the manifest comes last, so a folder that has one is complete. */
import { randomBytes } from "node:crypto";
import { lstat, mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import {
  MANIFEST_FILE,
  MANIFEST_VERSION,
  type AnyArtifact,
  type Artifact,
  type ArtifactKind,
  type ArtifactRef,
  type CreatedBy,
  type Details,
  type Manifest,
} from "./artifact.js";
import { ArtifactError } from "./artifact-error.js";
import { parseManifest } from "./check-manifest.js";
import { textDigest } from "./file-digest.js";
import { checkRequiredFiles, checkWeights, exists, innerFileSize, listFiles } from "./layout.js";
import { hashFiles, openArtifact } from "./read-artifact.js";
import { syncFolder, writeFileAtomic } from "./write-file-atomic.js";

/** What the writer of an artifact says of it; sizes and digests are taken from the files. */
export interface ArtifactDescription<K extends ArtifactKind> {
  kind: K;
  details: Details[K];
  createdBy: CreatedBy;
  /** The artifacts that this one was made from (`artifactRef`). */
  inputs: readonly ArtifactRef[];
}

/**
 * Writes a new artifact. `fill` puts the files into a hidden folder beside `dir`, which takes the name `dir` once they and the
 * manifest are on disk. When `fill` throws, nothing is left behind. Everything that `fill` wrote belongs to the artifact,
 * hidden files apart.
 *
 * @param options.overwrite replaces the artifact that is there; a folder that holds anything but one artifact's own files is
 *   never replaced
 * @throws {ArtifactError} with reason "exists" when `dir` is in use
 */
export async function writeArtifact<K extends ArtifactKind>(
  dir: string,
  description: ArtifactDescription<K>,
  fill: (stagingDir: string) => Promise<void>,
  options: { overwrite?: boolean } = {},
): Promise<Artifact<K>> {
  const path = resolve(dir);
  await checkFree(path, options.overwrite ?? false);
  await mkdir(dirname(path), { recursive: true });
  const mark = randomBytes(6).toString("hex");
  const staging = join(dirname(path), `.${basename(path)}.partial-${mark}`);
  await mkdir(staging);
  try {
    await fill(staging);
    const files = await listFiles(staging);
    for (const file of files) await syncFile(join(staging, file));
    const artifact = await sealArtifact(staging, { ...description, files });
    const old = await moveAside(path, options.overwrite ?? false, mark);
    try {
      await rename(staging, path);
    } catch (error) {
      if (old !== undefined) await rename(old, path);
      throw error;
    }
    await syncFolder(dirname(path));
    if (old !== undefined) await rm(old, { recursive: true });
    return { ...artifact, dir: path };
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Completes an artifact whose files a stage wrote in place, beside its checkpoints and logs: hashes the named files and
 * writes medgpt.json last. Other files in the folder are left alone and do not belong to the artifact.
 *
 * @throws {ArtifactError} when a named file is missing, leads out of the folder or is no whole safetensors file, or when
 *   the kind needs a file that is not named
 */
export async function sealArtifact<K extends ArtifactKind>(
  dir: string,
  { files: names, kind, details, createdBy, inputs }: ArtifactDescription<K> & { files: readonly string[] },
): Promise<Artifact<K>> {
  const path = resolve(dir);
  for (const name of names) await innerFileSize(path, name);
  await checkRequiredFiles(path, kind, details, new Set(names));
  await checkWeights(path, names);
  const files: Manifest["files"] = await hashFiles(path, [...names].sort());
  const manifest: Manifest<K> = { medgpt: MANIFEST_VERSION, kind, createdBy, inputs: [...inputs], files, details };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  // The reader's own check, so that nothing is written which it would refuse.
  parseManifest(path, text);
  await writeFileAtomic(join(path, MANIFEST_FILE), text);
  return { kind, dir: path, digest: textDigest(text), inferred: false, manifest };
}

/** Throws unless `dir` is free: not there, an empty folder, or, to be overwritten, an artifact and nothing else. */
async function checkFree(dir: string, overwrite: boolean): Promise<void> {
  const refuse = (message: string): never => {
    throw new ArtifactError(message, { reason: "exists", path: dir });
  };
  if (!(await exists(dir))) return;
  if (!(await lstat(dir)).isDirectory()) refuse("is in use, and is no folder; choose another name");
  const entries = await readdir(dir);
  if (entries.length === 0) return;
  if (!overwrite)
    refuse(
      "is in use; choose another folder, or give --overwrite_output_dir (in medgpt data --overwrite) to replace it",
    );
  if (!entries.includes(MANIFEST_FILE)) refuse("holds files, but no artifact; it is left as it is");
  const old = await openListed(dir);
  const own = new Set([MANIFEST_FILE, ...Object.keys(old.manifest.files)]);
  const foreign = (await allEntries(dir)).find((file) => !own.has(file));
  if (foreign !== undefined) refuse(`holds ${foreign}, which does not belong to its artifact; it is left as it is`);
}

async function openListed(dir: string): Promise<AnyArtifact> {
  const kinds: ArtifactKind[] = ["tokenizer", "dataset", "causal-lm", "adapter", "reward-model"];
  return openArtifact<ArtifactKind>(dir, kinds, { verify: "size" });
}

/** Every file and link below a folder, hidden ones included, and every empty folder. */
async function allEntries(dir: string, inner = ""): Promise<string[]> {
  const names: string[] = [];
  const entries = await readdir(join(dir, inner), { withFileTypes: true });
  for (const entry of entries) {
    const name = inner === "" ? entry.name : `${inner}/${entry.name}`;
    if (entry.isDirectory()) names.push(...(await allEntries(dir, name)));
    else names.push(name);
  }
  return entries.length === 0 && inner !== "" ? [inner] : names;
}

/** Makes way for the new folder; returns where the old artifact went, when there was one. */
async function moveAside(dir: string, overwrite: boolean, mark: string): Promise<string | undefined> {
  // Asked again, because filling may have taken hours.
  await checkFree(dir, overwrite);
  if (!(await exists(dir))) return undefined;
  if ((await readdir(dir)).length === 0) {
    await rmdir(dir);
    return undefined;
  }
  const aside = join(dirname(dir), `.${basename(dir)}.old-${mark}`);
  await rename(dir, aside);
  return aside;
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
