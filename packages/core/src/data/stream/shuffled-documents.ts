/**
 * The documents of text files in the order of datasets' IterableDataset.shuffle(seed, buffer_size) (since 5.2): a buffer is
 * filled and permuted, half of it is given out, the other half stays and is filled up again. The files are taken one after
 * the other, as datasets takes them after skip(). A place in this order is saved as numbers, not as texts: what the buffer
 * held is read again.
 */
import { InputError } from "@medgpt/artifacts";
import { z } from "zod";
import { NumpyRandom, numpyRandomState } from "../order/numpy-random.js";
import { readDocuments, type DocumentPosition, type TextDocument } from "../files/read-documents.js";

export interface ShuffleOptions {
  readonly keepLinebreaks: boolean;
  readonly seed: number;
  /** Documents in the buffer; 1 keeps the order of the files. */
  readonly bufferSize: number;
  /** The first document, where those before it are set aside. */
  readonly from?: DocumentPosition | undefined;
}

const count = z.int().min(0);
const numbers = z.string().regex(/^(\d+( \d+)*)?$/);

/** A place in the order of one pass, for JSON. */
export const shuffleState = z.object({
  /** The number of the first document that has to be read again, and where it is. */
  first: count,
  position: z.object({ file: count, offset: count, line: count }),
  /** Documents read so far. */
  read: count,
  /** The documents to be given out next, and those that stay in the buffer, counted from `first`. */
  ready: numbers,
  kept: numbers,
  /** Whether the files are read to their end. */
  ended: z.boolean(),
  random: numpyRandomState,
});
export type ShuffleState = z.output<typeof shuffleState>;

/**
 * UTF-16 units of text in the buffer, some 128 MiB, at which it is taken for full. Documents of 6,700 on average reach it
 * with 10,000 in the buffer. (datasets has no such bound.)
 */
const BUFFER_CHARACTERS = 64 << 20;

interface Entry {
  readonly number: number;
  readonly document: TextDocument;
}

export class ShuffledDocuments {
  readonly #options: ShuffleOptions;
  readonly #documents: AsyncIterator<TextDocument, undefined>;
  readonly #random: NumpyRandom;
  /** To be given out, the next one last. */
  #ready: Entry[] = [];
  #kept: Entry[] = [];
  /** The last one that was read. */
  #last: Entry | undefined;
  #ended = false;

  private constructor(options: ShuffleOptions, documents: AsyncIterator<TextDocument, undefined>, random: NumpyRandom) {
    this.#options = options;
    this.#documents = documents;
    this.#random = random;
  }

  /** @param pass from 0; datasets' epoch, which gives each pass another order */
  static begin(files: readonly string[], options: ShuffleOptions, pass: number): ShuffledDocuments {
    const first = NumpyRandom.seeded(BigInt(options.seed));
    const random = pass === 0 ? first : NumpyRandom.seeded(first.int63() - BigInt(pass));
    return new ShuffledDocuments(options, readDocuments(files, options)[Symbol.asyncIterator](), random);
  }

  /** @throws InputError where the files have lost documents */
  static async restore(
    files: readonly string[],
    options: ShuffleOptions,
    state: ShuffleState,
  ): Promise<ShuffledDocuments> {
    const { first, position, read } = state;
    const reader = readDocuments(files, { ...options, from: position });
    const documents: AsyncIterator<TextDocument, undefined> = reader[Symbol.asyncIterator]();
    const parse = (list: string): number[] =>
      list === "" ? [] : list.split(" ").map((number) => first + Number(number));
    const [ready, kept] = [parse(state.ready), parse(state.kept)];
    const wanted = new Set([...ready, ...kept]);
    const found = new Map<number, Entry>();
    for (let number = first; number < read; number++) {
      const { value, done } = await documents.next();
      if (done === true) {
        const place = files[position.file] ?? "the data";
        throw new InputError("holds fewer documents than when the checkpoint was saved", { place });
      }
      if (wanted.has(number) || number === read - 1) found.set(number, { number, document: value });
    }
    const take = (number: number): Entry => {
      const entry = found.get(number);
      if (entry === undefined)
        throw new InputError(
          "its place in the data names documents that were not read yet; take an earlier checkpoint",
        );
      return entry;
    };
    const restored = new ShuffledDocuments(options, documents, NumpyRandom.restored(state.random));
    restored.#ready = ready.map(take).reverse();
    restored.#kept = kept.map(take);
    restored.#last = read === 0 ? undefined : take(read - 1);
    restored.#ended = state.ended;
    return restored;
  }

  /** undefined at the end of the pass. */
  async next(): Promise<TextDocument | undefined> {
    if (this.#ready.length === 0) await this.#refill();
    return this.#ready.pop()?.document;
  }

  state(): ShuffleState {
    const ready = this.#ready.toReversed();
    // The last one too, since reading goes on after it.
    const oldest = [...ready, ...this.#kept].reduce<Entry | undefined>(
      (least, entry) => (least === undefined || entry.number < least.number ? entry : least),
      this.#last,
    );
    const first = oldest?.number ?? 0;
    const list = (some: readonly Entry[]): string => some.map(({ number }) => number - first).join(" ");
    return {
      first,
      position: oldest?.document.position ?? this.#options.from ?? { file: 0, offset: 0, line: 1 },
      read: this.#last === undefined ? 0 : this.#last.number + 1,
      ready: list(ready),
      kept: list(this.#kept),
      ended: this.#ended,
      random: this.#random.state(),
    };
  }

  /** Closes the file that is being read. */
  async close(): Promise<void> {
    await this.#documents.return?.();
  }

  /** Fills the buffer, permutes it and divides it. */
  async #refill(): Promise<void> {
    const buffer = this.#kept;
    let characters = buffer.reduce((sum, { document }) => sum + document.text.length, 0);
    while (!this.#ended && buffer.length < this.#options.bufferSize && characters < BUFFER_CHARACTERS) {
      const { value, done } = await this.#documents.next();
      if (done === true) {
        this.#ended = true;
        break;
      }
      this.#last = { number: (this.#last?.number ?? -1) + 1, document: value };
      buffer.push(this.#last);
      characters += value.text.length;
    }
    const order = this.#random.permutation(buffer.length);
    const stays = this.#ended ? 0 : buffer.length >> 1;
    this.#ready = Array.from(order.subarray(0, buffer.length - stays), (i) => buffer[i]!).reverse();
    this.#kept = Array.from(order.subarray(buffer.length - stays), (i) => buffer[i]!);
  }
}
