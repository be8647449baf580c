import { stat } from "node:fs/promises";
import { extname } from "node:path";
import { InputError } from "@medgpt/artifacts";
import {
  cacheNote,
  collate,
  documentsInMemory,
  firstRows,
  holdOut,
  packBlocks,
  packNeatly,
  padBlocks,
  streamRows,
  tokenizeFiles,
  type Batch,
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
  type StageData,
  type Traits,
} from "@medgpt/core/stage";
import { counted, openTogether, say, type Closable, type RunContext } from "@medgpt/core/run";
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
}

/** Has a file closed with the data. */
type Keep = <C extends Closable>(file: C) => C;

const NO_ROWS: Rows = padBlocks(documentsInMemory([]), { blockSize: 1 });

/**
 * Tokenises the text folders (or finds them tokenised) and cuts them into blocks, or rows without packing; with --streaming
 * the text to train on is only opened. Without a validation folder or split the first documents are set aside: those of the
 * first max_eval_samples blocks with --streaming, else validation_split_percentage of them.
 * @param dataset the files of config.dataset_name
 * @returns rows that can be read until they are disposed of
 * @throws InputError for a missing or empty folder and for malformed text, with file:line:column
 */
export function loadData(
  config: PretrainConfig,
  tokenizer: Tokenizer,
  context: RunContext,
  dataset?: ResolvedDataset,
): Promise<PretrainData & AsyncDisposable> {
  return openTogether(async (keep) => {
    const sources = await findSources(config, dataset, context);
    await warnOfJson(sources, context);
    const data = await (config.streaming ? openStream : loadRows)(config, tokenizer, context, sources, keep);
    for (const name of ["train", "validation"] as const)
      if (data[name].count > 0) say(context, `${name}: ${describeRows(data[name], config)}`);
    if (config.do_train && data.train.count === 0 && data.stream === undefined)
      throw new InputError("--do_train: no document is left to train on", { place: sources.train?.name ?? "" });
    if (evaluates(config) && data.validation.count === 0)
      throw new InputError(
        "no document to evaluate on; raise --validation_split_percentage or give --validation_file_dir",
      );
    const note = { ...context, setAside: sources.validation === undefined, metrics: "loss and perplexity" };
    if (evaluates(config)) warnOfSmallEvaluation(data.validation.count, config, note);
    return data;
  });
}

/** The data as micro-batches. */
export function stageData({ train, stream, validation, traits }: PretrainData): StageData {
  return {
    ...{ train: batchesOf(train), validation: batchesOf(validation), traits },
    stream: stream && batchStream(stream),
  };
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

/** Says which files of plain text are JSON, which is no fault but hardly meant. */
async function warnOfJson({ train, validation }: Sources, context: RunContext): Promise<void> {
  for (const file of new Set([...(train?.files ?? []), ...(validation?.files ?? [])]))
    if (extname(file) === ".txt" && (await holdsJsonTexts(file))) say(context, jsonInText(file), "warn");
}

async function loadRows(
  config: PretrainConfig,
  tokenizer: Tokenizer,
  context: RunContext,
  sources: Sources,
  keep: Keep,
): Promise<PretrainData> {
  const read = async (source: Source): Promise<TokenCache> => keep(await tokenize(source, config, tokenizer, context));
  const none = documentsInMemory([]);
  const all = sources.train && (await read(sources.train));
  const given = sources.validation && (await read(sources.validation));
  const { held, rest } =
    evaluates(config) && given === undefined
      ? holdOut(all ?? none, config.validation_split_percentage)
      : { held: given ?? none, rest: all ?? none };
  return {
    train: limited(rowsOf(rest, config, tokenizer), config.max_train_samples),
    stream: undefined,
    validation: limited(rowsOf(held, config, tokenizer), config.max_eval_samples),
    traits: { "the training data": all?.contents ?? "" },
  };
}

async function openStream(
  config: PretrainConfig,
  tokenizer: Tokenizer,
  context: RunContext,
  sources: Sources,
  keep: Keep,
): Promise<PretrainData> {
  const { do_train, max_train_samples, max_eval_samples: count } = config;
  const packing = { ...packerOptions(config, tokenizer), keepLinebreaks: config.keep_linebreaks };
  const place = sources.train?.name ?? "";
  const open = (source: Source | undefined): readonly string[] => {
    if (source === undefined) return [];
    const { name, files, ignored } = source;
    const others = ignored > 0 ? `, ${counted(ignored, "other file")} ignored` : "";
    say(context, `${name}: ${counted(files.length, "file")} to be read as needed${others}`);
    return files;
  };
  const files = open(sources.train);
  let held: Partial<FirstRows> = {};
  if (sources.validation !== undefined && limits(count)) {
    const { rows } = await firstRows(open(sources.validation), tokenizer, { ...packing, count });
    held = { rows };
  } else if (sources.validation !== undefined) {
    const cache = keep(await tokenize(sources.validation, config, tokenizer, context));
    held = { rows: rowsOf(cache, config, tokenizer) };
  } else if (evaluates(config)) {
    if (!limits(count))
      throw new InputError(
        "--streaming sets --max_eval_samples blocks aside, as there is no text to evaluate on: give it",
        { place },
      );
    held = await firstRows(files, tokenizer, { ...packing, count });
    if (do_train && held.next === undefined)
      throw new InputError("--do_train: no document is left to train on; lower --max_eval_samples", { place });
  }
  const { rows: validation = NO_ROWS, next: from } = held;
  if (!do_train) return { train: NO_ROWS, stream: undefined, validation, traits: {} };
  const stream = keep(
    await streamRows(files, tokenizer, {
      ...packing,
      seed: config.data_seed ?? config.seed,
      bufferSize: config.train_sampling_strategy === "sequential" ? 1 : config.shuffle_buffer_size,
      from,
      ...(limits(max_train_samples) && { maxRows: max_train_samples }),
    }),
  );
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
export function batchStream(stream: RowStream): BatchStream<Batch> {
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
  say(context, `${name}: ${counts.join(", ")}${cacheNote(cache)}`);
  const warn = (text: string): void => say(context, `${name}: ${text}`, "warn");
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
