/** Files of conversations as rows of ids with labels, in the token cache. */
import { InputError, MedgptError } from "@medgpt/artifacts";
import { joinTurns, proveLabels, readConversation, type Conversation, type DialogEncoder } from "@medgpt/core/chat";
import {
  cachedTokens,
  documentCount,
  readRows,
  type TokenCache,
  type TokenDocuments,
  type TokenSource,
} from "@medgpt/core/data";
import type { Source } from "@medgpt/core/stage";
import type { RunContext } from "@medgpt/core/training";
import type { SftConfig } from "./config.js";

/** Part of the digest: raised when the same conversations would give other rows. */
const FORMAT = 1;

/** Conversations encoded at a time: enough to keep all cores busy, little enough to hold. */
const BATCH = 1024;

type Flags = Pick<SftConfig, "tool_format" | "train_on_inputs" | "cache_dir" | "overwrite_cache">;

/**
 * Rows of the cache are documents; an empty one ends each conversation. An id without loss is stored as ~id. Says how many
 * there are and what was left out.
 * @throws InputError at file:line for a row that is no conversation or that the template refuses
 */
export async function tokenizeChats(
  { name, files, ignored }: Source,
  encoder: DialogEncoder,
  flags: Flags,
  context: RunContext,
): Promise<TokenCache> {
  const { tokenizer, dialog, maxLength } = encoder;
  const settings = {
    chats: FORMAT,
    tokenizer: tokenizer.digest,
    dialog: dialog.identity,
    endId: dialog.endId,
    maxLength,
    toolFormat: flags.tool_format,
    trainOnInputs: flags.train_on_inputs,
  };
  const produce: TokenSource["produce"] = async (write, reportBytes) => {
    const counts: Record<string, number> = {};
    const count = (what: string, more = 1): void => void (counts[what] = (counts[what] ?? 0) + more);
    let bytes = 0;
    let chats: Chat[] = [];
    const flush = async (): Promise<void> => {
      // A conversation that the template refuses is found again below, with its place.
      await encoder.prepare(chats.map(({ conversation }) => conversation)).catch(ignoreInputError);
      await write(chats.flatMap((chat) => documentsOf(chat, encoder, flags, count)));
      reportBytes(bytes);
      chats = [];
    };
    for await (const { row, place } of readRows(files, (more) => void (bytes += more))) {
      const options = { place, toolFormat: flags.tool_format, onLeftOut: (what: string) => count(what) };
      chats.push({ conversation: readConversation(row, options), place });
      if (chats.length === BATCH) await flush();
    }
    await flush();
    return counts;
  };
  const cacheOptions = { cacheDir: flags.cache_dir ?? undefined, overwriteCache: flags.overwrite_cache };
  const cache = await cachedTokens({ files, settings, produce }, cacheOptions, context);
  report(name, cache, ignored, context);
  return cache;
}

interface Chat {
  readonly conversation: Conversation;
  readonly place: string;
}

/** The rows of a conversation, as the cache has them. */
function documentsOf(
  { conversation, place }: Chat,
  encoder: DialogEncoder,
  { train_on_inputs }: Flags,
  count: (what: string, more?: number) => void,
): Int32Array[] {
  count(CONVERSATIONS);
  if (conversation.turns.length === 0) count("conversation without an answer");
  try {
    const rows = encoder.encode(conversation, (cut) => count(cut));
    const documents = rows.map((row) => {
      const { ids, labels } = joinTurns(row, train_on_inputs);
      if (!train_on_inputs) count(INEXACT, proveLabels(labels, row, encoder.dialog.endId, encoder.tokenizer));
      count(
        LABELS,
        labels.reduce((sum, label) => sum + (label === -100 ? 0 : 1), 0),
      );
      return ids.map((id, at) => (labels[at] === -100 ? ~id : id));
    });
    return [...documents, new Int32Array()];
  } catch (cause) {
    if (!MedgptError.isInstance(cause)) throw cause;
    const ErrorClass = cause instanceof InputError ? InputError : MedgptError;
    throw new ErrorClass(cause.message, { place, cause });
  }
}

function ignoreInputError(error: unknown): void {
  if (!(error instanceof InputError)) throw error;
}

/** A row of the cache with its labels. */
export function labelledRow(stored: Int32Array): { ids: Int32Array; labels: Int32Array } {
  return { ids: stored.map((id) => (id < 0 ? ~id : id)), labels: stored.map((id) => (id < 0 ? -100 : id)) };
}

/** The rows of each conversation. */
export function conversationsOf(cache: TokenDocuments): number[][] {
  const conversations: number[][] = [];
  let rows: number[] = [];
  for (let row = 0; row < documentCount(cache); row++) {
    if (cache.offsets[row + 1]! > cache.offsets[row]!) {
      rows.push(row);
      continue;
    }
    conversations.push(rows);
    rows = [];
  }
  return conversations;
}

const CONVERSATIONS = "conversations";
const LABELS = "tokens with loss";
const INEXACT = "answer that the tokenizer does not give back to the letter";

/** Says how many rows there are, and what was left out or cut, each kind on a line. */
function report(name: string, cache: TokenCache, ignored: number, { log }: RunContext): void {
  const { [CONVERSATIONS]: conversations = 0, [LABELS]: labels = 0, ...others } = cache.counts;
  const number = (value: number): string => value.toLocaleString("en");
  const share = cache.tokens === 0 ? 0 : Math.round((100 * labels) / cache.tokens);
  const rows = cache.documents - conversations;
  const counts = [`${number(conversations)} conversations`, `${number(rows)} rows`, `${number(cache.tokens)} tokens`];
  if (ignored > 0) counts.push(`${number(ignored)} other files ignored`);
  const text = `${name}: ${counts.join(", ")}, ${share} % with loss${cache.reused ? " (from the cache)" : ""}`;
  log({ type: "message", level: "info", text });
  for (const [what, times] of Object.entries(others))
    if (times > 0) log({ type: "message", level: "warn", text: `${name}: ${number(times)} x ${what}` });
}
