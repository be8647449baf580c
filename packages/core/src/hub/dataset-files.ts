/**
 * Which files of a data set belong to which split, by the conventions of Python's datasets: the `configs` in the front matter
 * of README.md, else names of folders and files that contain a split's.
 */
import { InputError } from "@medgpt/artifacts";
import { minimatch } from "minimatch";
import { parseDocument } from "yaml";
import { describeJson, isJsonObject } from "../json/read-json-object.js";

/** Files of each split, by their paths in the data set. */
export type Splits = ReadonlyMap<string, readonly string[]>;

const KEYWORDS = {
  train: ["train", "training"],
  validation: ["validation", "valid", "dev", "val"],
  test: ["test", "testing", "eval", "evaluation"],
};

/** What may stand beside a keyword in a name. */
const BETWEEN = "[-._ 0-9]";
const FOLDER_PATTERNS = ["**/KEYWORD/**", "**/KEYWORD_*/**", "**/*_KEYWORD/**", "**/*_KEYWORD_*/**"];
const FILE_PATTERNS = ["**/KEYWORD_*", "**/*_KEYWORD_*"];

/** Files that describe the data and hold none. */
const DESCRIPTIONS: ReadonlySet<string> = new Set([
  "README.md",
  "config.json",
  "dataset_info.json",
  "dataset_infos.json",
  "dummy_data.zip",
  "dataset_dict.json",
]);

/** Endings that datasets counts to find a data set's format; those with an ending of their own are read here. */
const FORMATS: Readonly<Record<string, string>> = {
  ".parquet": "parquet",
  ".arrow": "arrow",
  ".jsonl": "json",
  ".json": "json",
  ".csv": "csv",
  ".tsv": "csv",
  ".txt": "text",
  ".tar": "tar",
  ".xml": "xml",
  ".zip": "zip",
};
const READABLE: Readonly<Record<string, RegExp>> = {
  parquet: /\.parquet$/,
  json: /\.jsonl?$/,
  text: /\.txt$/,
};

/**
 * @param paths every file of the data set, with "/" between parts
 * @param card the text of its README.md
 * @param config a configuration that the card names; null for the default one
 * @throws InputError for an unknown configuration and a card that is not as the hub has it
 */
export function datasetSplits(paths: readonly string[], card: string, config: string | null): Splits {
  const sorted = paths
    .filter((path) => !DESCRIPTIONS.has(path.split("/").at(-1)!))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const configs = readConfigs(card);
  const chosen = chooseConfig(configs, config);
  const base = chosen?.data_dir === undefined ? "" : `${chosen.data_dir.replace(/^(\.?\/)+|\/+$/g, "")}/`;
  const within = sorted.filter((path) => path.startsWith(base)).map((path) => path.slice(base.length));
  const found = chosen?.data_files === undefined ? inferSplits(within) : listedSplits(within, chosen.data_files);
  return new Map([...found].map(([split, files]) => [split, files.map((path) => base + path)]));
}

/**
 * Those of a split's files that are in its format, which is that of most of them.
 * @throws InputError where that format is not read here
 */
export function readableFiles(files: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const file of files) {
    const endings = (file.split("/").at(-1) ?? "").toLowerCase().split(".").slice(1);
    for (const ending of endings) counts.set(`.${ending}`, (counts.get(`.${ending}`) ?? 0) + 1);
  }
  // Of formats with as many files each, the earlier in the table.
  const order = Object.keys(FORMATS).filter((ending) => counts.has(ending));
  const ending = order.sort((a, b) => counts.get(b)! - counts.get(a)!)[0];
  const format = ending === undefined ? undefined : FORMATS[ending];
  const readable = files.filter((file) => READABLE[format ?? ""]?.test(file));
  if (readable.length > 0) return readable;
  throw new InputError(`expected .txt, .jsonl, .json or .parquet files, but the data is in files such as ${files[0]}`);
}

interface Config {
  readonly config_name: string;
  readonly data_files?: unknown;
  readonly data_dir?: string;
  readonly default?: unknown;
}

function readConfigs(card: string): Config[] {
  const [, front] = /^\uFEFF?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|$)/s.exec(card) ?? [];
  const document = parseDocument(front ?? "");
  const [error] = document.errors;
  if (error !== undefined) throw wrongCard(error.message.split("\n")[0]!);
  let values: unknown;
  try {
    values = document.toJS(); // refuses aliases that multiply
  } catch (error) {
    throw wrongCard((error as Error).message);
  }
  const configs = isJsonObject(values) ? (values["configs"] ?? []) : [];
  if (!Array.isArray(configs)) throw wrongCard(`configs is ${describeJson(configs)}`);
  return configs.map((config: unknown) => {
    if (!isJsonObject(config) || typeof config["config_name"] !== "string")
      throw wrongCard(`a configuration is ${describeJson(config)}, without a config_name`);
    const dir = config["data_dir"] ?? undefined;
    if (dir !== undefined && typeof dir !== "string") throw wrongCard(`data_dir is ${describeJson(dir)}`);
    const { config_name: name, data_files: files } = config;
    return {
      config_name: name,
      data_files: files ?? undefined,
      ...(dir !== undefined && { data_dir: dir }),
      default: config["default"],
    };
  });
}

function chooseConfig(configs: readonly Config[], wanted: string | null): Config | undefined {
  const names = configs.map(({ config_name }) => config_name).join(", ");
  if (wanted !== null) {
    const found = configs.find(({ config_name }) => config_name === wanted);
    if (found !== undefined || (configs.length === 0 && wanted === "default")) return found;
    throw new InputError(
      `the data set has no configuration ${JSON.stringify(wanted)}; it has ${names || "only default"}`,
      {
        place: "--dataset_config_name",
      },
    );
  }
  if (configs.length <= 1) return configs[0];
  const preset = configs.find((config) => config.config_name === "default" || config.default === true);
  if (preset !== undefined) return preset;
  throw new InputError(`the data set has several configurations; give one of ${names}`, {
    place: "--dataset_config_name",
  });
}

/** data_files: a pattern or several for train, or a list of { split, path }. */
function listedSplits(paths: readonly string[], dataFiles: unknown): Splits {
  const entries =
    Array.isArray(dataFiles) && dataFiles.some(isJsonObject) ? dataFiles : [{ split: "train", path: dataFiles }];
  return new Map(
    entries.map((entry: unknown) => {
      const { split, path } = isJsonObject(entry) ? entry : {};
      const patterns: unknown[] = Array.isArray(path) ? path : [path];
      if (typeof split !== "string" || !patterns.every((pattern) => typeof pattern === "string"))
        throw wrongCard(`data_files has ${describeJson(entry)}, which is no split with a path`);
      const files = matching(
        paths,
        patterns.map((pattern) => pattern.replace(/^(\.\/)+/, "")),
      );
      if (files.length === 0) throw wrongCard(`no file of the data set is ${patterns.join(" or ")} (split ${split})`);
      return [split, files];
    }),
  );
}

function inferSplits(paths: readonly string[]): Splits {
  const sharded = new Map<string, string[]>();
  for (const path of paths) {
    const split = /^data\/([^/]+)-\d{5}-of-\d{5}[^/]*\.[^/]*$/.exec(path)?.[1];
    if (split !== undefined) sharded.set(split, [...(sharded.get(split) ?? []), path]);
  }
  if (sharded.size > 0) return sharded;
  for (const shapes of [FOLDER_PATTERNS, FILE_PATTERNS]) {
    const found = Object.entries(KEYWORDS).map(([split, keywords]) => {
      const patterns = keywords.flatMap((keyword) =>
        shapes.map((shape) => shape.replaceAll("_", BETWEEN).replace("KEYWORD", keyword)),
      );
      return [split, matching(paths, patterns)] as const;
    });
    const filled = found.filter(([, files]) => files.length > 0);
    if (filled.length > 0) return new Map(filled);
  }
  return new Map([["train", matching(paths, ["**"])]]);
}

/** The paths that any of the patterns mean, each once; hidden ones only where a pattern names the dot. */
export function matching(paths: readonly string[], patterns: readonly string[]): string[] {
  const plain = { nobrace: true, noext: true, nonegate: true, nocomment: true };
  return [...new Set(patterns.flatMap((pattern) => paths.filter((path) => minimatch(path, pattern, plain))))];
}

function wrongCard(problem: string): InputError {
  return new InputError(`the front matter does not say which files to read: ${problem}`, { place: "README.md" });
}
