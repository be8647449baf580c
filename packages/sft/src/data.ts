import { InputError } from "@medgpt/artifacts";
import { createDialog, DialogEncoder } from "@medgpt/core/chat";
import {
  collate,
  documentsInMemory,
  packLengths,
  readDocument,
  shuffledOrder,
  sumOfLongest,
  trainTestSplit,
  type Row,
  type TokenDocuments,
} from "@medgpt/core/data";
import type { ResolvedDataset } from "@medgpt/core/hub";
import {
  digestOf,
  evaluates,
  findSources,
  limits,
  warnOfSmallEvaluation,
  type Batches,
  type Source,
  type StageData,
} from "@medgpt/core/stage";
import { loadChatTemplate, type Tokenizer } from "@medgpt/core/tokenizer";
import { openTogether, type RunContext } from "@medgpt/core/run";
import type { SftConfig } from "./config.js";
import { conversationsOf, labelledRow, tokenizeChats } from "./tokenize-chats.js";

/** Files of conversations. */
export const EXTENSIONS = [".jsonl", ".json", ".parquet"];

/** MedicalGPT shuffles and splits with this seed, whatever --seed is. */
const SHUFFLE_SEED = 42;

/** Rows, and those of each conversation. */
interface Chats {
  readonly rows: TokenDocuments;
  readonly conversations: readonly (readonly number[])[];
  /** Digest of the files. */
  readonly contents: string;
}

const NO_CHATS: Chats = { rows: documentsInMemory([]), conversations: [], contents: "" };

/**
 * Tokenises the folders of conversations, or finds them tokenised, and puts them in MedicalGPT's order: shuffled; where
 * there is no validation folder or split, validation_split_percentage of the conversations are set aside.
 * @param dataset the files of config.dataset_name
 * @returns rows that can be read until they are disposed of
 * @throws InputError for a missing or empty folder and for malformed rows, with file:line
 */
export async function loadData(
  config: SftConfig,
  tokenizer: Tokenizer,
  context: RunContext,
  dataset?: ResolvedDataset,
): Promise<StageData & AsyncDisposable> {
  const dialog = createDialog(tokenizer, config.template_name, await loadChatTemplate(tokenizer.dir));
  const sources = await findSources(config, dataset, context, EXTENSIONS);
  return await openTogether(async (keep) => {
    const read = async (source: Source | undefined): Promise<Chats> => {
      if (source === undefined) return NO_CHATS;
      const encoder = new DialogEncoder(tokenizer, dialog, config.model_max_length);
      const cache = keep(await tokenizeChats(source, encoder, config, context));
      return { rows: cache, conversations: conversationsOf(cache), contents: cache.contents };
    };
    const all = await read(sources.train);
    let validation = await read(sources.validation);
    let train = all;
    const setAside = sources.validation === undefined;
    if (evaluates(config) && setAside) {
      const shuffled = choose(all, shuffledOrder(all.conversations.length, SHUFFLE_SEED));
      const split = trainTestSplit(all.conversations.length, config.validation_split_percentage, SHUFFLE_SEED);
      train = choose(shuffled, split.train);
      validation = choose(shuffled, split.test);
    }
    train = choose(train, shuffledOrder(train.conversations.length, SHUFFLE_SEED));
    const data = {
      train: batchesOf(limited(train, config.max_train_samples), config),
      validation: batchesOf(limited(validation, config.max_eval_samples), config),
      traits: { "the training data": all.contents, "the chat template": digestOf(dialog.identity) },
    };
    const missing = (what: string, flag: string): InputError =>
      new InputError(`${flag}: no conversation with an answer to learn is left to ${what}`, {
        place: sources.train?.name ?? "",
      });
    if (config.do_train && data.train.rows === 0) throw missing("train on", "--do_train");
    if (evaluates(config) && data.validation.rows === 0) throw missing("evaluate on", "--do_eval");
    const note = { ...context, setAside, metrics: "loss and perplexity" };
    if (evaluates(config)) warnOfSmallEvaluation(data.validation.rows, config, note);
    return data;
  });
}

function choose(chats: Chats, order: Int32Array): Chats {
  return { ...chats, conversations: Array.from(order, (index) => chats.conversations[index]!) };
}

/** The first `limit` conversations; all for null, 0 and negative numbers. */
function limited(chats: Chats, limit: number | null): Chats {
  return limits(limit) ? { ...chats, conversations: chats.conversations.slice(0, limit) } : chats;
}

/** Micro-batches of rows, or of packs of them. */
function batchesOf({ rows, conversations }: Chats, { packing, neat_packing, model_max_length }: SftConfig): Batches {
  const order = conversations.flat();
  const lengths = order.map((row) => rows.offsets[row + 1]! - rows.offsets[row]!);
  const packs = packing || neat_packing ? packLengths(lengths, model_max_length) : order.map((_, index) => [index]);
  const read = async (pack: readonly number[]): Promise<Row[]> => {
    const parts = await Promise.all(pack.map(async (index) => labelledRow(await readDocument(rows, order[index]!))));
    return neat_packing ? parts : [join(parts)];
  };
  return {
    rows: packs.length,
    longest: (count) =>
      sumOfLongest(
        packs.map((pack) => pack.reduce((sum, index) => sum + lengths[index]!, 0)),
        count,
      ),
    batch: async (indices) => collate((await Promise.all(indices.map((index) => read(packs[index]!)))).flat()),
  };
}

/** Rows as one, in which each sees those before it; the first token of each is still no label. */
function join(rows: readonly ReturnType<typeof labelledRow>[]): Row {
  return {
    ids: Int32Array.from(rows.flatMap(({ ids }) => [...ids])),
    labels: Int32Array.from(rows.flatMap(({ labels }) => [-100, ...labels.subarray(1)])),
  };
}
