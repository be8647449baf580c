import { stat } from "node:fs/promises";
import { extname } from "node:path";
import { InputError } from "@medgpt/artifacts";
import {
  cacheNote,
  collate,
  documentCount,
  documentsInMemory,
  firstRows,
  packBlocks,
  packNeatly,
  padBlocks,
  sliceDocuments,
  streamRows,
  tokenizeFiles,
  validationCount,
  type DocumentPosition,
  type FirstRows,
  type RowPackerOptions,
  type Rows,
  type RowStream,
  type Sequences,
  type TokenCache,
  type TokenDocuments,
} from "@medgpt/core/data";
import { holdsJsonTexts, jsonInText } from "@medgpt/core/json";
import type { ResolvedDataset } from "@medgpt/core/hub";
import type { Batch } from "@medgpt/core/data";
import type { Tokenizer } from "@medgpt/core/tokenizer";
import {
  digestOf,
  evaluates,
  findSources,
  limits,
  warnOfSmallEvaluation,
  type Batches,
  type Source,
  type Sources,
  type Traits,
} from "@medgpt/core/stage";
import { counted, type RunContext } from "@medgpt/core/run";
import type { BatchStream } from "@medgpt/core/training";
import type { PretrainConfig } from "./config.js";

export interface PretrainData {
  /** None with --streaming. */
  readonly train: Rows;
  /** The rows to train on with --streaming. */
  readonly stream: RowStream | undefined;
  readonly validation: Rows;
  /** What there is to train on was made of. */
  readonly traits: Traits;
  /** Closes the files of text and ids; no row can be read afterwards. */
  close(): Promise<void>;
}

const NO_ROWS: Rows = padBlocks(documentsInMemory([]), { blockSize: 1 });

/**
 * Tokenises the text folders (or finds them tokenised) and cuts them into blocks, or rows without packing; with --streaming
 * the text to train on is only opened. Without a validation folder or split the first documents are set aside: those of the
 * first max_eval_samples blocks with --streaming, else validation_split_percentage of them.
 * @param dataset the files of config.dataset_name
 * @throws InputError for a missing or empty folder and for malformed text, with file:line:column
 */
export async function loadData(
  config: PretrainConfig,
  tokenizer: Tokenizer,
  context: RunContext,
  dataset?: ResolvedDataset,
): Promise<PretrainData> {
  const opened: { close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    for (const file of opened) await file.close();
  };
  try {
    const load = config.streaming ? openStream : loadRows;
    const sources = await findSources(config, dataset, context);
    await warnOfJson(sources, context);
    const data = await load(config, tokenizer, context, opened, sources);
    for (const name of ["train", "validation"] as const)
      if (data[name].count > 0)
        context.log({ type: "message", level: "info", text: `${name}: ${describeRows(data[name], config)}` });
    if (config.do_train && data.train.count === 0 && data.stream === undefined)
      throw new InputError("--do_train: no document is left to train on", { place: sources.train?.name ?? "" });
    if (evaluates(config) && data.validation.count === 0)
      throw new InputError(
        "no document to evaluate on; raise --validation_split_percentage or give --validation_file_dir",
      );
    const setAside = sources.validation === undefined;
    if (evaluates(config)) warnOfSmallEvaluation(data.validation.count, config, { ...context, setAside });
    return { ...data, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** How many rows there are, how long, and what is in none. */
function describeRows(
  { count, tokens, droppedTokens }: Rows,
  { packing, neat_packing, block_size }: PretrainConfig,
): string {
  const size = block_size.toLocaleString("en");
  const short = packing && count === 1 && tokens < block_size;
  const length = short
    ? ` of ${counted(tokens, "token")}, less than --block_size ${size}`
    : packing
      ? ` of ${neat_packing ? "up to " : ""}${size} tokens`
      : "";
  const rest = droppedTokens === 0 ? "" : `, ${counted(droppedTokens, "token")} left over`;
  return `${counted(count, "row")}${length}${rest}`;
}

type Loaded = Pick<PretrainData, "train" | "stream" | "validation" | "traits">;

/** Says which files of plain text are JSON, which is no fault but hardly meant. */
async function warnOfJson({ train, validation }: Sources, { log }: RunContext): Promise<void> {
  for (const file of new Set([...(train?.files ?? []), ...(validation?.files ?? [])]))
    if (extname(file) === ".txt" && (await holdsJsonTexts(file)))
      log({ type: "message", level: "warn", text: jsonInText(file) });
}

async function loadRows(
  config: PretrainConfig,
  tokenizer: Tokenizer,
  context: RunContext,
  opened: { close(): Promise<void> }[],
  sources: Sources,
): Promise<Loaded> {
  const read = async (source: Source | undefined): Promise<TokenDocuments & Partial<TokenCache>> => {
    if (source === undefined) return documentsInMemory([]);
    const cache = await tokenize(source, config, tokenizer, context);
    opened.push(cache);
    return cache;
  };
  const all = await read(sources.train);
  let train: TokenDocuments = all;
  let validation: TokenDocuments = await read(sources.validation);
  if (evaluates(config) && sources.validation === undefined) {
    const held = validationCount(documentCount(train), config.validation_split_percentage);
    validation = sliceDocuments(train, 0, held);
    train = sliceDocuments(train, held, documentCount(train));
  }
  return {
    train: limited(rowsOf(train, config, tokenizer), config.max_train_samples),
    stream: undefined,
    validation: limited(rowsOf(validation, config, tokenizer), config.max_eval_samples),
    traits: { "the training data": all.contents ?? "" },
  };
}

async function openStream(
  config: PretrainConfig,
  tokenizer: Tokenizer,
  context: RunContext,
  opened: { close(): Promise<void> }[],
  sources: Sources,
): Promise<Loaded> {
  const { max_train_samples, max_eval_samples } = config;
  const packing = packerOptions(config, tokenizer);
  const open = (source: Source | undefined): readonly string[] => {
    if (source === undefined) return [];
    const { name, files, ignored } = source;
    const others = ignored > 0 ? `, ${counted(ignored, "other file")} ignored` : "";
    const text = `${name}: ${counted(files.length, "file")} to be read as needed${others}`;
    context.log({ type: "message", level: "info", text });
    return files;
  };
  const first = (files: readonly string[], count: number): Promise<FirstRows> =>
    firstRows(files, tokenizer, { ...packing, keepLinebreaks: config.keep_linebreaks, count });

  let validation = NO_ROWS;
  let from: DocumentPosition | undefined;
  const files = open(sources.train);
  if (sources.validation !== undefined) {
    if (limits(max_eval_samples)) {
      validation = (await first(open(sources.validation), max_eval_samples)).rows;
    } else {
      const cache = await tokenize(sources.validation, config, tokenizer, context);
      opened.push(cache);
      validation = rowsOf(cache, config, tokenizer);
    }
  } else if (evaluates(config)) {
    if (!limits(max_eval_samples))
      throw new InputError(
        "--streaming sets --max_eval_samples blocks aside, as there is no text to evaluate on: give it",
        {
          place: sources.train?.name ?? "",
        },
      );
    const held = await first(files, max_eval_samples);
    validation = held.rows;
    from = held.next;
    if (config.do_train && from === undefined)
      throw new InputError("--do_train: no document is left to train on; lower --max_eval_samples", {
        place: sources.train?.name ?? "",
      });
  }
  if (!config.do_train) return { train: NO_ROWS, stream: undefined, validation, traits: {} };
  const stream = await streamRows(files, tokenizer, {
    ...packing,
    keepLinebreaks: config.keep_linebreaks,
    seed: config.data_seed ?? config.seed,
    bufferSize: config.train_sampling_strategy === "sequential" ? 1 : config.shuffle_buffer_size,
    from,
    ...(limits(max_train_samples) && { maxRows: max_train_samples }),
  });
  opened.push(stream);
  // Reading it all beforehand is what streaming avoids. Other names or sizes are refused by the stream itself.
  const times = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs));
  return { train: NO_ROWS, stream, validation, traits: { "the time of the training data's files": digestOf(times) } };
}

/** Micro-batches of rows by their numbers; every token of a row is a label, but for the first of a sequence. */
export function batchesOf(rows: Rows): Batches {
  return {
    rows: rows.count,
    longest: (count) => rows.longest(count),
    batch: async (indices) => batchOf(await Promise.all(indices.map((index) => rows.readSequences(index)))),
  };
}

/** Micro-batches of streamed rows. */
export function batchStream(stream: RowStream): BatchStream {
  return {
    async next(count) {
      const { rows, pass, endsPass } = await stream.take(count);
      return { batch: batchOf(rows), pass, endsPass };
    },
    state: () => stream.state(),
    restore: (state) => stream.restore(state),
  };
}

function batchOf(rows: readonly Sequences[]): Batch {
  return collate(rows.flat().map((ids) => ({ ids })));
}

async function tokenize(
  { name, files, ignored }: Source,
  config: PretrainConfig,
  tokenizer: Tokenizer,
  context: RunContext,
): Promise<TokenCache> {
  const options = {
    keepLinebreaks: config.keep_linebreaks,
    cacheDir: config.cache_dir ?? undefined,
    overwriteCache: config.overwrite_cache,
  };
  const cache = await tokenizeFiles(files, tokenizer, options, context);
  const counts = [counted(cache.documents, "document"), counted(cache.tokens, "token")];
  const { skippedBlank = 0, withSpecial = 0, halfPairs = 0 } = cache.counts;
  if (skippedBlank > 0) counts.push(`${counted(skippedBlank, "blank line")} skipped`);
  if (ignored > 0) counts.push(`${counted(ignored, "other file")} ignored`);
  context.log({ type: "message", level: "info", text: `${name}: ${counts.join(", ")}${cacheNote(cache)}` });
  const warn = (text: string): void => context.log({ type: "message", level: "warn", text: `${name}: ${text}` });
  if (halfPairs > 0)
    warn(
      `${counted(halfPairs, "document")} with half of a character (such as \\ud83d), read as U+FFFD; medgpt data lint says where`,
    );
  if (withSpecial > 0)
    warn(
      `${counted(withSpecial, "document")} with special tokens of the tokenizer in the text: they act as such, and may end a document in its middle; medgpt data lint --tokenizer says where`,
    );
  return cache;
}

function rowsOf(documents: TokenDocuments, config: PretrainConfig, tokenizer: Tokenizer): Rows {
  const options = packerOptions(config, tokenizer);
  return { none: padBlocks, blocks: packBlocks, neat: packNeatly }[options.packing](documents, options);
}

/** @throws InputError where documents are to be packed and the tokenizer has nothing to end them with */
function packerOptions(config: PretrainConfig, tokenizer: Tokenizer): RowPackerOptions {
  const packing = !config.packing ? "none" : config.neat_packing ? "neat" : "blocks";
  if (packing !== "none" && tokenizer.eosId === undefined)
    throw new InputError(
      "packing ends each document with the end-of-text token, and the tokenizer names none; set eos_token in tokenizer_config.json",
      { place: tokenizer.dir },
    );
  return { packing, blockSize: config.block_size, eosId: tokenizer.eosId ?? -1 };
}

/** The first `limit` rows; all for null, 0 and negative numbers. */
function limited(rows: Rows, limit: number | null): Rows {
  return limits(limit) && limit < rows.count ? { ...rows, count: limit } : rows;
}
