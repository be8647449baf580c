import { InputError } from "@medgpt/artifacts";
import {
  collate,
  documentCount,
  listTextFiles,
  packBlocks,
  padBlocks,
  sliceDocuments,
  tokenizeFiles,
  validationCount,
  type Rows,
  type TextFiles,
  type TokenCache,
  type TokenDocuments,
} from "@medgpt/core/data";
import type { ResolvedDataset } from "@medgpt/core/hub";
import type { Batch } from "@medgpt/core/nn";
import type { Tokenizer } from "@medgpt/core/tokenizer";
import type { RunContext } from "@medgpt/core/training";
import { evaluates, type PretrainConfig } from "./config.js";

export interface PretrainData {
  readonly train: Rows;
  readonly validation: Rows;
  /** Closes the files of ids; no row can be read afterwards. */
  close(): Promise<void>;
}

/**
 * Tokenises the text folders (or finds them tokenised) and cuts them into blocks, or rows without packing. Without a
 * validation folder or split the first validation_split_percentage of the documents are set aside.
 * @param dataset the files of config.dataset_name
 * @throws InputError for a missing or empty folder and for malformed text, with file:line:column
 */
export async function loadData(
  config: PretrainConfig,
  tokenizer: Tokenizer,
  context: RunContext,
  dataset?: ResolvedDataset,
): Promise<PretrainData> {
  const opened: TokenCache[] = [];
  const close = async (): Promise<void> => {
    for (const cache of opened) await cache.close();
  };
  try {
    return { ...(await loadRows(config, tokenizer, context, opened, dataset)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function loadRows(
  config: PretrainConfig,
  tokenizer: Tokenizer,
  context: RunContext,
  opened: TokenCache[],
  dataset: ResolvedDataset | undefined,
): Promise<{ train: Rows; validation: Rows }> {
  const none = sliceDocuments(
    { offsets: new Float64Array(1), readTokens: () => Promise.resolve(new Int32Array()) },
    0,
    0,
  );
  const { dataset_name: name, train_file_dir, validation_file_dir } = config;
  const read = async (dir: string | null, split: "train" | "validation"): Promise<TokenDocuments | undefined> => {
    const files = dataset?.[split] ?? [];
    if (dir === null && (name === null || files.length === 0)) return undefined;
    const source =
      dir === null ? { name: `${name}, ${split}`, files, ignored: 0 } : { name: dir, ...(await listTextFiles(dir)) };
    const cache = await tokenize(source, config, tokenizer, context);
    opened.push(cache);
    return cache;
  };
  let train = (await read(train_file_dir, "train")) ?? none;
  let validation = evaluates(config) ? await read(validation_file_dir, "validation") : none;
  if (validation === undefined) {
    const held = validationCount(documentCount(train), config.validation_split_percentage);
    validation = sliceDocuments(train, 0, held);
    train = sliceDocuments(train, held, documentCount(train));
  }
  const data = {
    train: limited(rowsOf(train, config, tokenizer), config.max_train_samples),
    validation: limited(rowsOf(validation, config, tokenizer), config.max_eval_samples),
  };
  const what = config.packing ? `blocks of ${config.block_size} tokens` : "rows";
  for (const [name, rows] of Object.entries<Rows>(data)) {
    if (rows.count === 0) continue;
    const text = `${name}: ${rows.count.toLocaleString("en")} ${what}, ${rows.droppedTokens.toLocaleString("en")} tokens left over`;
    context.log({ type: "message", level: "info", text });
  }
  if (config.do_train && data.train.count === 0)
    throw new InputError("--do_train: no document is left to train on", {
      place: train_file_dir ?? name ?? "",
    });
  if (evaluates(config) && data.validation.count === 0)
    throw new InputError(
      "no document to evaluate on; raise --validation_split_percentage or give --validation_file_dir",
    );
  return data;
}

/** Micro-batches of rows by their numbers; every token of a row is a label. */
export function batchesOf(rows: Rows): (indices: readonly number[]) => Promise<Batch> {
  return async (indices) => collate(await Promise.all(indices.map(async (index) => ({ ids: await rows.read(index) }))));
}

async function tokenize(
  { name, files, ignored }: TextFiles & { readonly name: string },
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
  const counts = [`${cache.documents.toLocaleString("en")} documents`, `${cache.tokens.toLocaleString("en")} tokens`];
  if (cache.skippedBlank > 0) counts.push(`${cache.skippedBlank.toLocaleString("en")} blank lines skipped`);
  if (ignored > 0) counts.push(`${ignored.toLocaleString("en")} other files ignored`);
  context.log({
    type: "message",
    level: "info",
    text: `${name}: ${counts.join(", ")}${cache.reused ? " (from the cache)" : ""}`,
  });
  return cache;
}

function rowsOf(documents: TokenDocuments, config: PretrainConfig, tokenizer: Tokenizer): Rows {
  const blockSize = config.block_size;
  if (!config.packing) return padBlocks(documents, { blockSize });
  if (tokenizer.eosId === undefined)
    throw new InputError(
      "packing ends each document with the end-of-text token, and the tokenizer names none; set eos_token in tokenizer_config.json",
      { place: tokenizer.dir },
    );
  return packBlocks(documents, { blockSize, eosId: tokenizer.eosId });
}

/** The first `limit` rows; all for null, 0 and negative numbers. */
function limited(rows: Rows, limit: number | null): Rows {
  if (limit === null || limit <= 0 || limit >= rows.count) return rows;
  return { ...rows, count: limit };
}
