/** Makes up the manifest of a plain Hugging Face folder (or a folder of data files) from what lies in it. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import {
  MANIFEST_VERSION,
  type AnyArtifact,
  type ArtifactKind,
  type DatasetFormat,
  type Details,
  type Manifest,
  type ModelDetails,
} from "./artifact.js";
import { ArtifactError } from "./artifact-error.js";
import { fileDigest } from "./file-digest.js";
import {
  ADAPTER_WEIGHTS,
  TOKENIZER_FILES,
  WEIGHTS,
  WEIGHTS_INDEX,
  checkWeights,
  listFiles,
  readShardNames,
} from "./layout.js";
import { readJson } from "./read-json.js";

/** Kind, files and details of a folder, before anything is hashed. */
export type Inferred = {
  [K in ArtifactKind]: { kind: K; files: string[]; details: Details[K] };
}[ArtifactKind];

export async function inferKind(dir: string): Promise<Inferred> {
  const present = await listFiles(dir);
  const has = new Set(present);
  const tokenizerFiles = TOKENIZER_FILES.filter((file) => has.has(file));

  if (has.has("adapter_config.json")) {
    const weights = requireOne(dir, "adapter", has, [ADAPTER_WEIGHTS]);
    await checkWeights(dir, weights);
    const files = ["adapter_config.json", ...weights, ...tokenizerFiles];
    return { kind: "adapter", files, details: await adapterDetails(dir) };
  }
  if (has.has("config.json")) {
    const config = await readJson(dir, "config.json");
    const architectures = Array.isArray(config["architectures"]) ? config["architectures"].map(String) : [];
    const kind = architectures.some((name) => name.endsWith("ForSequenceClassification"))
      ? "reward-model"
      : "causal-lm";
    const weights = requireOne(dir, kind, has, [WEIGHTS, WEIGHTS_INDEX]);
    if (weights[0] === WEIGHTS_INDEX) weights.push(...(await readShardNames(dir)));
    for (const file of weights) requireOne(dir, kind, has, [file]);
    const parameters = await checkWeights(dir, weights);
    const tokenizer = has.has("tokenizer.json") ? await fileDigest(join(dir, "tokenizer.json")) : null;
    const details: ModelDetails = { ...familyAndVocabulary(dir, config), parameters, tokenizer };
    const generation = ["generation_config.json"].filter((file) => has.has(file));
    const files = ["config.json", ...generation, ...weights, ...tokenizerFiles];
    return kind === "causal-lm"
      ? { kind, files, details }
      : { kind, files, details: { ...details, pooling: "last-token", center: 0 } };
  }
  const newest = newestCheckpoint(present);
  if (newest !== undefined)
    throw new ArtifactError(
      `the run that wrote here has not ended: there is no result yet, only checkpoints; wait for it, go on with it (--resume_from_checkpoint True), or give a checkpoint, such as ${join(dir, newest)}`,
      { reason: "half-written", path: dir },
    );
  if (has.has("tokenizer.json")) {
    return { kind: "tokenizer", files: tokenizerFiles, details: await tokenizerDetails(dir) };
  }
  const data = present.filter((file) => /\.(jsonl|json|txt|parquet)$/.test(file));
  if (data.length > 0) return { kind: "dataset", files: data, details: await datasetDetails(dir, data) };
  throw new ArtifactError(
    "holds no model (config.json), adapter (adapter_config.json), tokenizer (tokenizer.json) or data (.jsonl, .txt, .parquet)",
    { reason: "unrecognised", path: dir },
  );
}

/** The checkpoint-<step> folder with the highest number that has weights. */
function newestCheckpoint(files: readonly string[]): string | undefined {
  const steps = files.flatMap((file) => /^checkpoint-(\d+)\/(?:adapter_)?model\S*\.safetensors$/.exec(file)?.[1] ?? []);
  return steps.length === 0 ? undefined : `checkpoint-${Math.max(...steps.map(Number))}`;
}

/** The manifest's own form, so that its digest says which bytes these were. */
export function inferredManifest(found: Inferred, files: Manifest["files"]): AnyArtifact["manifest"] {
  return {
    medgpt: MANIFEST_VERSION,
    kind: found.kind,
    createdBy: null,
    inputs: [],
    files,
    details: found.details,
  } as AnyArtifact["manifest"];
}

/** The first of `choice` that is there. */
function requireOne(dir: string, kind: ArtifactKind, has: ReadonlySet<string>, choice: string[]): string[] {
  const found = choice.find((file) => has.has(file));
  if (found !== undefined) return [found];
  const pickled = [...has].some((file) => /^(pytorch_model|adapter_model).*\.bin$/.test(file));
  const advice = pickled
    ? "; it holds PyTorch .bin weights: save them as safetensors first"
    : "; the copy is incomplete";
  throw new ArtifactError(`looks like a ${kind}, but ${choice.join(" or ")} is missing${advice}`, {
    reason: "missing",
    path: dir,
    file: choice[0]!,
    foundKind: kind,
  });
}

function familyAndVocabulary(dir: string, config: Record<string, unknown>): { family: string; vocabSize: number } {
  // Models with several modalities keep the language model's figures in text_config.
  const text = (config["text_config"] ?? config) as Record<string, unknown>;
  const vocabSize = text["vocab_size"] ?? config["vocab_size"];
  const family = config["model_type"];
  if (typeof family !== "string" || typeof vocabSize !== "number") {
    throw new ArtifactError('expected "model_type" (a string) and "vocab_size" (a number)', {
      reason: "bad-file",
      path: dir,
      file: "config.json",
    });
  }
  return { family, vocabSize };
}

async function adapterDetails(dir: string): Promise<Details["adapter"]> {
  const config = await readJson(dir, "adapter_config.json");
  const { r: rank, lora_alpha: alpha, target_modules: targets, base_model_name_or_path: base } = config;
  const names = Array.isArray(targets) ? targets.map(String) : targets;
  if (typeof rank !== "number" || typeof alpha !== "number" || (typeof names !== "string" && !Array.isArray(names))) {
    throw new ArtifactError('expected a LoRA configuration with "r", "lora_alpha" and "target_modules"', {
      reason: "bad-file",
      path: dir,
      file: "adapter_config.json",
    });
  }
  const path = typeof base === "string" ? base : "";
  return { base: { kind: "causal-lm", path, digest: null }, rank, alpha, targetModules: names };
}

async function tokenizerDetails(dir: string): Promise<Details["tokenizer"]> {
  const { model, added_tokens: added } = await readJson(dir, "tokenizer.json");
  const vocabulary = (model as { vocab?: unknown } | undefined)?.vocab;
  if (typeof vocabulary !== "object" || vocabulary === null) {
    throw new ArtifactError('expected "model.vocab", as the tokenizers library writes it', {
      reason: "bad-file",
      path: dir,
      file: "tokenizer.json",
    });
  }
  // Unigram keeps a list of [piece, score]; the others an object from piece to id.
  const pieces = new Set(
    Array.isArray(vocabulary) ? vocabulary.map((pair: unknown[]) => pair[0]) : Object.keys(vocabulary),
  );
  const contents = Array.isArray(added) ? added.map((token: { content?: unknown }) => token.content) : [];
  const beyond = contents.filter((content) => !pieces.has(content)).length;
  return { vocabSize: pieces.size + beyond, addedTokens: contents.length };
}

/** The split that a file belongs to, by its path: train unless it says otherwise. */
export function splitOf(file: string): string {
  if (/(^|[/_.-])(validation|valid|val|dev|eval)([/_.-]|$)/i.test(file)) return "validation";
  return /(^|[/_.-])test([/_.-]|$)/i.test(file) ? "test" : "train";
}

async function datasetDetails(dir: string, files: string[]): Promise<Details["dataset"]> {
  const splits: Details["dataset"]["splits"] = {};
  for (const file of files) (splits[splitOf(file)] ??= { files: [], rows: null }).files.push(file);
  const formats = new Map<DatasetFormat, string>();
  for (const file of files) {
    const format = await fileFormat(dir, file);
    if (format !== null && !formats.has(format)) formats.set(format, file);
  }
  const [first, second] = formats;
  if (first === undefined) {
    throw new ArtifactError("holds no row to tell the format of the data by", { reason: "unrecognised", path: dir });
  }
  if (second !== undefined) {
    const what = `${first[1]} has format "${first[0]}" and ${second[1]} has format "${second[0]}"`;
    throw new ArtifactError(`${what}; keep them in separate folders`, { reason: "unrecognised", path: dir });
  }
  return { format: first[0], splits };
}

/** Columns by which a format is known, in the order in which they decide; spellings of TRL, then of MedicalGPT and Alpaca. */
const FORMAT_COLUMNS: readonly (readonly [DatasetFormat, readonly string[]])[] = [
  ["preference", ["chosen", "rejected"]],
  ["preference", ["response_chosen", "response_rejected"]],
  ["chat", ["messages"]],
  ["chat", ["conversations"]],
  ["chat", ["instruction", "output"]],
  ["chat", ["prompt", "completion"]],
  ["prompt", ["prompt"]],
  ["prompt", ["question"]],
  ["text", ["text"]],
];

/** Format of one file by its first row; null for an empty file. */
async function fileFormat(dir: string, file: string): Promise<DatasetFormat | null> {
  if (file.endsWith(".txt")) return "text";
  const columns = file.endsWith(".parquet") ? await parquetColumns(dir, file) : await firstRowColumns(dir, file);
  if (columns === null) return null;
  const format = FORMAT_COLUMNS.find(([, names]) => names.every((name) => columns.has(name)))?.[0];
  if (format !== undefined) return format;
  throw new ArtifactError(
    `the columns of the first row (${[...columns].join(", ")}) fit no format; expected text, messages, chosen and rejected, or prompt`,
    { reason: "bad-file", path: dir, file },
  );
}

async function firstRowColumns(dir: string, file: string): Promise<Set<string> | null> {
  const input = createReadStream(join(dir, file), "utf8");
  try {
    let number = 0;
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      number++;
      const text = line.replace(/^\uFEFF/, "").trim();
      if (text === "") continue;
      try {
        const row: unknown = JSON.parse(text);
        if (typeof row === "object" && row !== null && !Array.isArray(row)) return new Set(Object.keys(row));
      } catch {
        // Reported below with the line's number.
      }
      throw new ArtifactError(
        `line ${number}: expected one JSON object a line, found ${JSON.stringify(text.slice(0, 40))}`,
        {
          reason: "bad-file",
          path: dir,
          file,
        },
      );
    }
    return null;
  } finally {
    input.destroy();
  }
}

/** Footers are about 1 KB a row group; one beyond this belongs to no data set that we know and would only fill memory. */
const MAX_PARQUET_FOOTER_BYTES = 64 << 20;

/**
 * Those columns of FORMAT_COLUMNS that a parquet file has. The footer's schema keeps each name as Thrift's compact protocol
 * writes the field after a field that is always there: 0x18, the length, the name. Searching for these bytes spares this
 * package a parquet reader; the stage that reads the rows checks them anyway.
 */
async function parquetColumns(dir: string, file: string): Promise<Set<string> | null> {
  const handle = await open(join(dir, file));
  try {
    const { size } = await handle.stat();
    const tail = (await handle.read(Buffer.alloc(8), 0, 8, Math.max(0, size - 8))).buffer;
    const length = tail.readUInt32LE(0);
    if (size < 12 || tail.toString("latin1", 4) !== "PAR1" || length > size - 12 || length > MAX_PARQUET_FOOTER_BYTES) {
      throw new ArtifactError(`${basename(file)} does not end as a parquet file does; copy or download it again`, {
        reason: "size",
        path: dir,
        file,
      });
    }
    const footer = (await handle.read(Buffer.alloc(length), 0, length, size - 8 - length)).buffer;
    const names = new Set(FORMAT_COLUMNS.flatMap(([, columns]) => columns));
    return new Set(
      [...names].filter((name) => footer.includes(`\x18${String.fromCharCode(name.length)}${name}`, 0, "latin1")),
    );
  } finally {
    await handle.close();
  }
}
