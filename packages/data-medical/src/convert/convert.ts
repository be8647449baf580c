import { stat } from "node:fs/promises";
import { join, relative } from "node:path";

import { artifactRef, MANIFEST_FILE, openArtifact, readError, splitOf, type ArtifactRef } from "@medgpt/artifacts";
import { listTextFiles, ROW_EXTENSIONS } from "@medgpt/core/data";
import type { RunContext } from "@medgpt/core/run";

import { FORMATS } from "../formats/formats.js";
import type { ConvertConfig } from "./config.js";
import { writeConverted } from "./write-converted.js";

/** Converts files and folders, and writes a file or a dataset artifact. */
export async function runConvert(config: ConvertConfig, context: RunContext): Promise<void> {
  const splits = new Map<string, string[]>();
  const inputs: ArtifactRef[] = [];
  for (const path of config.in) {
    const source = await openSource(path);
    if (source.input !== undefined) inputs.push(source.input);
    for (const [split, files] of source.splits) splits.set(split, [...(splits.get(split) ?? []), ...files]);
  }
  const from = FORMATS.find(({ name }) => name === config.from);
  await writeConverted(splits, { ...config, from, inputs, config }, context);
}

interface Source {
  readonly splits: ReadonlyMap<string, readonly string[]>;
  readonly input?: ArtifactRef;
}

/** A file, a folder's files by the splits that their names tell, or the splits of a dataset artifact. */
async function openSource(path: string): Promise<Source> {
  const info = await stat(path).catch((cause: unknown) => {
    throw readError(cause, path);
  });
  if (!info.isDirectory()) return { splits: new Map([["train", [path]]]) };
  const sealed = await stat(join(path, MANIFEST_FILE)).then(
    () => true,
    () => false,
  );
  if (!sealed) {
    const { files } = await listTextFiles(path, ROW_EXTENSIONS);
    const splits = new Map<string, string[]>();
    for (const file of files) {
      const split = splitOf(relative(path, file));
      splits.set(split, [...(splits.get(split) ?? []), file]);
    }
    return { splits };
  }
  const artifact = await openArtifact(path, "dataset");
  const splits = Object.entries(artifact.manifest.details.splits);
  return {
    splits: new Map(splits.map(([split, { files }]) => [split, files.map((file) => join(path, file))])),
    input: artifactRef(artifact),
  };
}
