import { readdir, realpath, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { TEXT_EXTENSIONS } from "./read-documents.js";

export interface TextFiles {
  /** Paths that begin with the folder given, in byte order of the path below it. */
  readonly files: readonly string[];
  /** Files with another extension, and manifests, which were left out. */
  readonly ignored: number;
}

/** The manifest of an artifact, which describes the folder. */
const MANIFEST = "medgpt.json";

const SHEETS = [".csv", ".tsv"];

/**
 * The files below a folder with one of the extensions, by default .txt, .jsonl, .json and .parquet. Hidden files and folders
 * are left out, as Python's glob does; links to folders are followed, but no folder is visited twice.
 * @throws InputError where there is no such folder or nothing in it to read.
 */
export async function listTextFiles(dir: string, extensions: readonly string[] = TEXT_EXTENSIONS): Promise<TextFiles> {
  const expected = `expected a folder with ${extensions.slice(0, -1).join(", ")} or ${extensions.at(-1)} files`;
  const found: string[] = [];
  const visited = new Set<string>();
  let ignored = 0;
  let sheets = 0;

  const visit = async (below: string): Promise<void> => {
    const folder = join(dir, below);
    const real = await realpath(folder);
    if (visited.has(real)) return;
    visited.add(real);
    for (const name of await readdir(folder)) {
      if (name.startsWith(".")) continue;
      const path = below === "" ? name : `${below}/${name}`;
      const info = await stat(join(dir, path)).catch((cause: unknown) => {
        throw new InputError("is a link to nothing; remove or repair it", { place: join(dir, path), cause });
      });
      if (info.isDirectory()) await visit(path);
      else if (!extensions.includes(extname(name)) || name === MANIFEST) {
        ignored++;
        if (SHEETS.includes(extname(name).toLowerCase())) sheets++;
      } else if (info.isFile()) found.push(path);
      else throw new InputError("expected a file of text, but this is a pipe or device", { place: join(dir, path) });
    }
  };

  const isFolder = await stat(dir).then(
    (info) => info.isDirectory(),
    () => undefined,
  );
  if (isFolder !== true) {
    const problem = isFolder === undefined ? "there is no such folder" : "this is a file";
    throw new InputError(`${expected}, but ${problem}`, { place: dir });
  }
  await visit("");
  if (found.length === 0) {
    const others = ignored === 0 ? "it is empty" : `it has only ${ignored} other file${ignored === 1 ? "" : "s"}`;
    // Those who read .txt read text, and the others conversations.
    const [to, file] = extensions.includes(".txt") ? ["text", "text.jsonl"] : ["sharegpt", "train.jsonl"];
    const remedy = sheets === 0 ? "" : `; tables are read by medgpt data convert ${dir} --to ${to} --out data/${file}`;
    throw new InputError(`${expected}, but ${others}${remedy}`, { place: dir });
  }
  const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  return { files: found.sort(byBytes).map((path) => join(dir, path)), ignored };
}
