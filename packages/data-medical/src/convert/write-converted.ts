import { stat } from "node:fs/promises";
import { dirname, extname, join } from "node:path";

import { InputError, writeArtifact, type ArtifactRef, type Details } from "@medgpt/artifacts";
import { readPackage } from "@medgpt/core/config";
import type { SourceRow } from "@medgpt/core/data";
import { checkFolder } from "@medgpt/core/training";
import { say, type RunContext } from "@medgpt/core/run";

import type { Format } from "../formats/format.js";
import { writeRows, WRITTEN_EXTENSIONS } from "../rows/write-rows.js";
import { TARGETS, type TargetName } from "../targets/targets.js";
import { convertRows, type Converted } from "./convert-rows.js";

export interface WriteConvertedOptions {
  readonly to: TargetName;
  readonly from: Format | undefined;
  /** Called with every row before it is read. */
  readonly onRow?: (source: SourceRow) => void;
  readonly out: string;
  readonly quarantine: string | null;
  readonly overwrite: boolean;
  /** The origin that is written into a dataset artifact. */
  readonly inputs: readonly ArtifactRef[];
  readonly config: unknown;
}

/**
 * Converts the files of each split and writes them to `out`: one file of one split, or a folder with a file for each. Only
 * what is complete takes its name.
 * @throws InputError for a row that is refused without a quarantine, and for files that exist already
 */
export async function writeConverted(
  splits: ReadonlyMap<string, readonly string[]>,
  options: WriteConvertedOptions,
  context: RunContext,
): Promise<void> {
  const { to, out, quarantine, overwrite, inputs, config } = options;
  const target = TARGETS[to];
  const isFile = WRITTEN_EXTENSIONS.includes(extname(out));
  if (!isFile && extname(out) !== "" && !(await isFolder(out)))
    throw new InputError(`expected a file ending in ${WRITTEN_EXTENSIONS.join(" or ")}, or a folder`, { place: out });
  if (isFile && splits.size !== 1)
    throw new InputError(`expected a folder for the splits ${[...splits.keys()].join(", ")}`, { place: out });
  if (isFile) await checkFree("out", out, overwrite);
  if (quarantine !== null) await checkFree("quarantine", quarantine, overwrite);

  const dropped = new Set<string>();
  const notes = new Set<string>();
  const convert = (files: readonly string[], quiet = false): AsyncGenerator<Converted> =>
    convertRows(files, {
      from: options.from,
      target,
      signal: context.signal,
      onRow: options.onRow,
      onDropped: (column) => dropped.add(column),
      onFormat: (text) => !quiet && say(context, text),
      // The files are read more than once.
      onNote: (text) => notes.has(text) || (notes.add(text), say(context, text, "warn")),
    });

  let refused = 0;
  if (quarantine !== null) {
    const all = [...splits.values()].flat();
    refused = await writeRefused(quarantine, () => convert(all, true));
  }
  const write = async (path: string, files: readonly string[]): Promise<number> => {
    let first = true;
    const accepted = async function* (): AsyncGenerator<Record<string, unknown>> {
      const results = convert(files, !first);
      first = false;
      let empty = true;
      for await (const result of results) {
        if ("row" in result) {
          empty = false;
          yield result.row;
        } else if (quarantine === null) throw new InputError(result.reason, { place: result.place });
      }
      if (empty) throw new InputError("expected rows, got none that can be written", { place: files[0]! });
    };
    const written = await writeRows(path, accepted, { json: ["tools"] });
    if (written.json.length > 0) say(context, `kept as JSON text in parquet: ${written.json.join(", ")}`);
    return written.rows;
  };

  let rows = 0;
  if (isFile) {
    rows = await write(out, [...splits.values()][0]!);
  } else {
    const details: Details["dataset"] = { format: target.kind, splits: {} };
    const createdBy = { package: "@medgpt/data-medical", version: packageVersion(), config };
    await writeArtifact(
      out,
      { kind: "dataset", details, createdBy, inputs },
      async (dir) => {
        for (const [split, files] of splits) {
          const name = `${split}.jsonl`;
          const written = await write(join(dir, name), files);
          details.splits[split] = { files: [name], rows: written };
          rows += written;
        }
      },
      { overwrite },
    );
  }
  if (dropped.size > 0)
    say(context, `left out, because ${to} has columns of these names: ${[...dropped].join(", ")}`, "warn");
  if (refused > 0) say(context, `${refused} rows were refused: see ${quarantine}`, "warn");
  context.log({ type: "saved", path: out, what: `${rows} rows as ${to}` });
}

/** Writes the rows that are refused, where there are any, and returns how many there are. */
async function writeRefused(path: string, results: () => AsyncGenerator<Converted>): Promise<number> {
  const rows = async function* (): AsyncGenerator<Record<string, unknown>> {
    for await (const result of results())
      if ("reason" in result) yield { place: result.place, reason: result.reason, ...result.source };
  };
  const look = rows();
  const { done } = await look.next();
  await look.return(undefined);
  return done === true ? 0 : (await writeRows(path, rows)).rows;
}

async function checkFree(flag: string, path: string, overwrite: boolean): Promise<void> {
  await checkFolder(flag, dirname(path));
  const there = await stat(path).catch(() => undefined);
  if (there !== undefined && !(overwrite && there.isFile()))
    throw new InputError("is there already; choose another name, or give --overwrite", { place: path });
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}

export function packageVersion(): string {
  return readPackage(new URL("../../package.json", import.meta.url)).version;
}
