/**
 * Rows of training text that are made while they are needed: read, shuffled in a buffer, tokenised and packed, pass after
 * pass, without a cache. Memory is bounded by the shuffle buffer and two batches of documents. The place reached can be
 * saved as JSON and taken up again to the same rows.
 */
import { basename } from "node:path";
import { stat } from "node:fs/promises";
import { InputError } from "@medgpt/artifacts";
import { z } from "zod";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { RowPacker, type RowPackerOptions, type Sequences } from "../packing/row-packer.js";
import { ShuffledDocuments, shuffleState, type ShuffleOptions, type ShuffleState } from "./shuffled-documents.js";

export interface RowStreamOptions extends ShuffleOptions, RowPackerOptions {
  /** A pass ends after that many rows. */
  readonly maxRows?: number | undefined;
}

export interface StreamedRows {
  readonly rows: readonly Sequences[];
  /** The pass that they belong to, from 0. */
  readonly pass: number;
  /** Whether they are the last ones of it. */
  readonly endsPass: boolean;
}

export interface RowStream {
  /**
   * The next rows: `count`, or at the end of a pass fewer, but at least one.
   * @throws InputError for malformed text (see readDocuments), and where a pass has no row at all
   */
  take(count: number): Promise<StreamedRows>;
  /** The place reached, for JSON. */
  state(): unknown;
  /**
   * Goes on from a place that `state` gave.
   * @throws InputError where files or options are no longer the same
   */
  restore(state: unknown): Promise<void>;
  /** Closes the file that is being read. */
  close(): Promise<void>;
}

/** Texts that are tokenised at once: enough for all cores, little enough that the first step need not wait. */
const BATCH_DOCUMENTS = 2048;
const BATCH_CHARACTERS = 256 << 10;

const count = z.int().min(0);
const streamState = z.object({
  source: z.string(),
  pass: count,
  /** Rows of this pass before the batch at hand. */
  rows: count,
  /** Rows of this batch that were given out. */
  given: count,
  open: z.array(z.string().regex(/^\d+( \d+)*$/)),
  /** null at the beginning of a pass. */
  documents: shuffleState.nullable(),
});

/** Where a batch of documents begins. */
interface Place {
  readonly pass: number;
  readonly rows: number;
  readonly open: string[];
  readonly documents: ShuffleState | null;
}

interface Prepared {
  readonly place: Place;
  readonly rows: readonly Sequences[];
  readonly endsPass: boolean;
}

/** @throws InputError where a file cannot be read */
export async function streamRows(
  files: readonly string[],
  tokenizer: Tokenizer,
  options: RowStreamOptions,
): Promise<RowStream> {
  const { packing, maxRows = Infinity } = options;
  const source = await sourceOf(files, tokenizer, options);

  let pass = 0;
  let rowsBefore = 0;
  let documents: ShuffledDocuments | undefined;
  let packer = new RowPacker(options);

  /** Makes the rows of the next batch of documents. One call at a time. */
  const prepare = async (): Promise<Prepared> => {
    const place = { pass, rows: rowsBefore, open: packer.open(), documents: documents?.state() ?? null };
    documents ??= ShuffledDocuments.begin(files, options, pass);
    const texts: string[] = [];
    let ended = false;
    for (let characters = 0; texts.length < BATCH_DOCUMENTS && characters < BATCH_CHARACTERS;) {
      const document = await documents.next();
      ended = document === undefined;
      if (document === undefined) break;
      texts.push(document.text);
      characters += document.text.length;
    }
    const rows = (await tokenizer.encodeBatch(texts)).flatMap((ids) => packer.add(ids));
    // As packBlocks: text that is shorter than one block makes a short one.
    if (ended && (packing === "neat" || rowsBefore + rows.length === 0)) rows.push(...packer.finish());
    rows.splice(Math.max(0, maxRows - rowsBefore));
    rowsBefore += rows.length;
    const endsPass = ended || rowsBefore === maxRows;
    if (endsPass) {
      if (rowsBefore === 0)
        throw new InputError("expected text to train on, but there is none", { place: files[0] ?? "the data" });
      await documents.close();
      documents = undefined;
      packer = new RowPacker(options);
      rowsBefore = 0;
      pass++;
    }
    return { place, rows, endsPass };
  };

  let current: Prepared | undefined;
  let given = 0;
  let ahead: Promise<Prepared> | undefined;
  const prepareAhead = (): void => {
    ahead = prepare();
    // Whoever takes it gets the error; until then it is not unhandled.
    ahead.catch(() => undefined);
  };
  const advance = async (): Promise<Prepared> => {
    if (ahead === undefined) prepareAhead();
    current = await ahead!;
    given = 0;
    prepareAhead();
    return current;
  };

  return {
    async take(count) {
      let batch = current ?? (await advance());
      const rows: Sequences[] = [];
      const { pass: takenFrom } = batch.place;
      for (;;) {
        const more = batch.rows.slice(given, given + count - rows.length);
        rows.push(...more);
        given += more.length;
        if (given < batch.rows.length) return { rows, pass: takenFrom, endsPass: false };
        // Only the next batch tells whether a row of this pass is left.
        const { endsPass } = batch;
        batch = await advance();
        if (endsPass) return { rows, pass: takenFrom, endsPass };
        if (rows.length === count && batch.rows.length > 0) return { rows, pass: takenFrom, endsPass: false };
      }
    },
    state() {
      const place = current?.place ?? { pass: 0, rows: 0, open: [], documents: null };
      return { source, ...place, given };
    },
    async restore(state) {
      const saved = savedPlace(state, source);
      if (saved.documents !== null) documents = await ShuffledDocuments.restore(files, options, saved.documents);
      [pass, rowsBefore, packer] = [saved.pass, saved.rows, new RowPacker(options, saved.open)];
      const batch = await advance();
      if (saved.given > batch.rows.length)
        throw new InputError("its place in the data lies behind the end of the data; take an earlier checkpoint");
      given = saved.given;
    },
    async close() {
      await ahead?.catch(() => undefined);
      await documents?.close();
    },
  };
}

/** What must be the same for a saved place to mean anything. */
async function sourceOf(files: readonly string[], tokenizer: Tokenizer, options: RowStreamOptions): Promise<string> {
  const { packing, blockSize, eosId, keepLinebreaks, seed, bufferSize, maxRows = Infinity, from = null } = options;
  return JSON.stringify({
    files: await Promise.all(files.map(async (file) => [basename(file), (await stat(file)).size])),
    tokenizer: tokenizer.digest,
    ...{ packing, blockSize, eosId, keepLinebreaks, seed, bufferSize, from, maxRows: String(maxRows) },
  });
}

function savedPlace(state: unknown, source: string): z.output<typeof streamState> {
  const { data: saved, error: cause } = streamState.safeParse(state);
  if (saved === undefined)
    throw new InputError("its place in the data is damaged; take an earlier checkpoint", { cause });
  if (saved.source !== source)
    throw new InputError(
      "was saved with other data or other settings of the data, so its place there means nothing; give those, or begin anew from the adapter or model it holds",
    );
  return saved;
}
