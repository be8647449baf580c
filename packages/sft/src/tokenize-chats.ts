/** Files of conversations as rows of ids with labels, in the token cache. */
import { InputError, MedgptError } from "@medgpt/artifacts";
import {
  chatReader,
  joinTurns,
  proveLabels,
  REWRITTEN,
  sayLeftOut,
  type Changed,
  type Conversation,
  type Cut,
  type DialogEncoder,
  type LeftOut,
} from "@medgpt/core/chat";
import {
  cachedTokens,
  cacheNote,
  documentCount,
  readRows,
  type SourceRow,
  type TokenCache,
  type TokenDocuments,
  type TokenSource,
} from "@medgpt/core/data";
import type { Source } from "@medgpt/core/stage";
import { counted, say, type RunContext } from "@medgpt/core/run";
import type { SftConfig } from "./config.js";

/** Part of the digest: raised when the same conversations would give other rows. */
const FORMAT = 2;

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
    const count: Count = (what, more = 1) => void (counts[what] = (counts[what] ?? 0) + more);
    const reader = new ChatReader(encoder, flags.tool_format, count);
    let bytes = 0;
    let chats: Chat[] = [];
    const flush = async (): Promise<void> => {
      // A conversation that the template refuses is found again below, with its place.
      await encoder.prepare(chats.map(({ conversation }) => conversation)).catch(ignoreInputError);
      await write(chats.flatMap((chat) => documentsOf(chat, encoder, flags, count)));
      reportBytes(bytes);
      chats = [];
    };
    const onHalfPair = (): void => count("row with half of a character");
    for await (const source of readRows(files, { onBytes: (more) => void (bytes += more), onHalfPair })) {
      chats.push(reader.read(source));
      if (chats.length === BATCH) await flush();
    }
    reader.end();
    await flush();
    return counts;
  };
  const cacheOptions = { cacheDir: flags.cache_dir ?? undefined, overwriteCache: flags.overwrite_cache };
  const cache = await cachedTokens({ files, settings, produce }, cacheOptions, context);
  report(name, cache, ignored, context);
  return cache;
}

/** What is counted: what happened to the data, each kind by its name, and how much there is. */
type Count = (what: LeftOut | Changed | Cut | typeof CONVERSATIONS | typeof LABELS, more?: number) => void;

interface Chat {
  readonly conversation: Conversation;
  readonly place: string;
}

/** Rows of a file that are no conversation to learn from, shown as examples. */
const EXAMPLES = 3;

/** Reads rows, counts what is left out of them, and refuses a file of which most cannot be learnt from. */
class ChatReader {
  readonly #read: ReturnType<typeof chatReader>;
  #file = "";
  #rows = 0;
  #unusable = 0;
  #examples: string[] = [];

  constructor(
    encoder: DialogEncoder,
    toolFormat: Flags["tool_format"],
    readonly count: Count,
  ) {
    this.#read = chatReader(encoder, toolFormat);
  }

  read({ row, file, place }: SourceRow): Chat {
    if (file !== this.#file) {
      this.end();
      [this.#file, this.#rows, this.#unusable, this.#examples] = [file, 0, 0, []];
    }
    this.#rows++;
    const reasons: string[] = [];
    const conversation = this.#read(row, place, (what) => {
      this.count(what);
      reasons.push(what);
    });
    if (conversation.turns.length === 0) {
      this.#unusable++;
      const reason = reasons.find((what) => /without|before|role/.test(what)) ?? "no turns";
      if (this.#examples.length < EXAMPLES)
        this.#examples.push(`${place.slice(file.length + 1).replace(/^\d/, "line $&")}: ${reason}`);
    }
    return { conversation, place };
  }

  /** @throws InputError where most rows of the file had nothing to learn from: another kind of data was meant */
  end(): void {
    if (this.#unusable * 2 <= this.#rows) return;
    const share = `${this.#unusable.toLocaleString("en")} of ${counted(this.#rows, "row")}`;
    throw new InputError(
      `no conversation with an answer to learn in ${share} (${this.#examples.join("; ")}); fine-tuning reads conversations that end with an answer: take such rows out, or see what medgpt data lint finds`,
      { place: this.#file },
    );
  }
}

/** The rows of a conversation, as the cache has them. */
function documentsOf(
  { conversation, place }: Chat,
  encoder: DialogEncoder,
  { train_on_inputs }: Flags,
  count: Count,
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
function report(name: string, cache: TokenCache, ignored: number, context: RunContext): void {
  const { [CONVERSATIONS]: conversations = 0, [LABELS]: labels = 0, ...others } = cache.counts;
  const share = cache.tokens === 0 ? 0 : Math.round((100 * labels) / cache.tokens);
  const rows = cache.documents - conversations;
  const counts = [counted(conversations, "conversation"), counted(rows, "row"), counted(cache.tokens, "token")];
  if (ignored > 0) counts.push(`${counted(ignored, "other file")} ignored`);
  const text = `${name}: ${counts.join(", ")}, ${share} % with loss${cacheNote(cache)}`;
  say(context, text);
  const columns = Object.keys(others).flatMap((what) => /^column (.*)$/s.exec(what)?.slice(1) ?? []);
  if (columns.length > 0) say(context, `${name}: columns not read: ${listed(columns)}`);
  for (const [what, times] of Object.entries(others)) {
    if (times === 0 || what.startsWith("column ")) continue;
    // Only these lose nothing.
    const level = what === "split" || what === REWRITTEN ? "info" : "warn";
    say(context, `${name}: ${sayLeftOut(what, times)}`, level);
  }
}

/** Names on a line, the first of them where there are many. */
function listed(names: readonly string[]): string {
  return names.slice(0, 10).join(", ") + (names.length > 10 ? ` and ${names.length - 10} more` : "");
}
