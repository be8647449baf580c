/**
 * Conversations as token ids and labels, with loss on the answers and on what ends them. The ids up to an answer are those
 * that a model is given in use. A conversation that does not fit becomes several rows, so that every answer is learnt once,
 * with as much of what went before as fits.
 */
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Conversation } from "./conversation.js";
import type { Dialog, RenderedTurn } from "./dialog.js";
import { EARLIER, REWRITTEN, type Cut, type Unlike } from "./left-out.js";

/** One turn of a row. */
export interface EncodedTurn {
  readonly source: Int32Array;
  /** The answer, with the tokens that end it unless it was cut. */
  readonly answer: Int32Array;
  /** Whether the answer carries loss; otherwise another row has it. */
  readonly learnt: boolean;
  /** The answer as it was said; only its beginning where it was cut. */
  readonly text: string;
  readonly cut: boolean;
  /** The differences between this row and what a model is given in generation. */
  readonly unlike?: readonly Unlike[];
}

export class DialogEncoder {
  /** What `prepare` made, and ids of the texts that were met since. */
  readonly #rendered = new Map<Conversation, readonly RenderedTurn[]>();
  readonly #encoded = new Map<string, Int32Array>();

  constructor(
    readonly tokenizer: Tokenizer,
    readonly dialog: Dialog,
    readonly maxLength: number,
  ) {}

  /** Encodes what `encode` will need for these, on all cores, in place of what it has from before. */
  async prepare(conversations: readonly Conversation[]): Promise<void> {
    this.#rendered.clear();
    this.#encoded.clear();
    const rendered = conversations.map((conversation) => [...this.dialog.render(conversation)]);
    const texts = rendered.flatMap((turns) => turns.flatMap(({ source, answer }) => [source, answer]));
    const ids = await this.tokenizer.encodeBatch(texts, { addSpecialTokens: false });
    for (const [index, text] of texts.entries()) this.#encoded.set(text, ids[index]!);
    for (const [index, turns] of rendered.entries())
      this.#rendered.set(conversations[index]!, [...this.#checked(turns)]);
  }

  /**
   * The rows of a conversation, each of at most maxLength tokens. Empty if there is nothing to learn.
   * @throws InputError where the template refuses it
   */
  encode(conversation: Conversation, onCut: (cut: Cut) => void = () => undefined): EncodedTurn[][] {
    const rows: EncodedTurn[][] = [];
    const { turns } = conversation;
    for (let learnt = 0; learnt < turns.length;) {
      const row =
        this.#withHistory(conversation, learnt) ??
        this.#cutTurn({ ...conversation, turns: turns.slice(learnt, learnt + 1) }, onCut);
      if (row === undefined) onCut("no room for the answer");
      else rows.push(row);
      learnt += row?.filter((turn) => turn.learnt).length ?? 1;
    }
    const rewritten = this.#render(conversation).some((turn) => turn.rewritten);
    if (rows.length > 1) onCut(rewritten ? REWRITTEN : "split");
    for (const { learnt, unlike = [] } of rows.flat()) if (learnt) unlike.forEach(onCut);
    return rows;
  }

  /** A row from turn `learnt` on, after as many of the turns before as fit; undefined where it does not fit alone. */
  #withHistory(conversation: Conversation, learnt: number): EncodedTurn[] | undefined {
    let row = this.#fit(conversation, 0, learnt);
    if (row !== undefined) return row;
    // Fewer turns before it make a shorter row: bisection, since a conversation may have hundreds.
    for (let [low, high] = [1, learnt]; low <= high;) {
      const from = (low + high) >> 1;
      const found = this.#fit(conversation, from, learnt);
      row = found ?? row;
      if (found === undefined) low = from + 1;
      else high = from - 1;
    }
    return row;
  }

  /** Turns from `from` on as far as they fit, those before `learnt` not learnt; undefined where that one does not fit. */
  #fit(conversation: Conversation, from: number, learnt: number): EncodedTurn[] | undefined {
    const { turns } = conversation;
    const part = from === 0 ? conversation : { ...conversation, turns: turns.slice(from) };
    const all = this.#render(conversation);
    const rewritesBefore = all.slice(from + 1, learnt + 1).some(({ rewritten }) => rewritten);
    let row: EncodedTurn[] = [];
    let room = this.maxLength;
    let [index, goesOnAt] = [from - 1, from];
    for (const { source, answer, rewritten, unlike = [] } of from === 0
      ? all
      : this.#checked(this.dialog.render(part))) {
      if (++index < goesOnAt) continue;
      let turn = { ...this.#turn(source, answer, index === from, index >= learnt), unlike };
      if (rewritten && index > learnt) break;
      if (rewritten || (rewritesBefore && index === from)) {
        // The history is the one that the template writes for this turn.
        const before = this.dialog.beforeLastAnswer({ ...part, turns: turns.slice(from, learnt + 1) });
        const still = all[learnt]!.unlike?.filter((what) => what !== EARLIER) ?? [];
        turn = { ...this.#turn(before, turns[learnt]![1], true, true), unlike: still };
        [row, room, goesOnAt] = [[], this.maxLength, learnt + 1];
      }
      room -= turn.source.length + turn.answer.length;
      if (room < 0) break;
      row.push(turn);
    }
    return row.at(-1)?.learnt === true ? row : undefined;
  }

  /**
   * A single turn that is too long. The answer keeps what the question leaves it, and half the length at least; then the
   * question loses its beginning.
   */
  #cutTurn(conversation: Conversation, onCut: (cut: Cut) => void): EncodedTurn[] | undefined {
    const { maxLength } = this;
    const [question, answer] = conversation.turns[0]!;
    const characters = Array.from(question);
    const sourceWithout = (dropped: number): string => {
      const turns = [[characters.slice(dropped).join(""), answer]] as const;
      return this.dialog.beforeLastAnswer({ ...conversation, turns });
    };
    const whole = this.#turn(sourceWithout(0), answer, true, true);
    const most = Math.max(maxLength - whole.source.length, maxLength >> 1);
    const kept = whole.answer.subarray(0, most);
    const cut = kept.length < whole.answer.length;
    const room = maxLength - kept.length;
    let source = whole.source;
    if (source.length > room) {
      let [low, high] = [1, characters.length]; // how much is dropped
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.#source(sourceWithout(middle), true).length <= room) high = middle;
        else low = middle + 1;
      }
      source = this.#source(sourceWithout(low), true);
      if (source.length > room) return undefined;
      onCut("question cut at its beginning");
    }
    if (cut) onCut("answer cut at its end");
    return [{ ...whole, source, answer: kept, cut }];
  }

  #render(conversation: Conversation): readonly RenderedTurn[] {
    const rendered = this.#rendered.get(conversation) ?? [...this.#checked(this.dialog.render(conversation))];
    this.#rendered.set(conversation, rendered);
    return rendered;
  }

  /** The turns with whether they go on from those before as tokens, too. */
  *#checked(turns: Iterable<RenderedTurn>): Generator<RenderedTurn, void> {
    let last: RenderedTurn | undefined;
    for (const turn of turns) {
      const known = last === undefined || turn.rewritten || turn.unlike?.includes(EARLIER) === true;
      if (known || this.#goesOn(last as RenderedTurn)) yield turn;
      else if (this.dialog.keepsRows) yield { ...turn, unlike: [...(turn.unlike ?? []), EARLIER] };
      else yield { ...turn, rewritten: true };
      last = turn;
    }
  }

  #goesOn({ source, answer }: RenderedTurn): boolean {
    const encoded = (text: string) => ({ text, ids: this.#ids(text) });
    return this.dialog.goesOn(encoded(source), encoded(answer));
  }

  #turn(source: string, answer: string, first: boolean, learnt: boolean): EncodedTurn {
    return {
      source: this.#source(source, first),
      answer: this.#ended(this.#ids(answer)),
      learnt,
      text: answer,
      cut: false,
    };
  }

  #source(text: string, first: boolean): Int32Array {
    const ids = this.#ids(text);
    return !first && ids[0] === this.dialog.endId ? ids.subarray(1) : ids; // the end of the last answer is there already
  }

  #ended(ids: Int32Array): Int32Array {
    if (ids.at(-1) === this.dialog.endId) return ids;
    const ended = new Int32Array(ids.length + 1);
    ended.set(ids);
    ended[ids.length] = this.dialog.endId;
    return ended;
  }

  #ids(text: string): Int32Array {
    const known = this.#encoded.get(text);
    if (known !== undefined) return known;
    const ids = this.tokenizer.encode(text, { addSpecialTokens: false });
    this.#encoded.set(text, ids);
    return ids;
  }
}

/** The ids of a row, and its labels: an id where it carries loss, else -100. Not shifted. */
export function joinTurns(
  row: readonly EncodedTurn[],
  trainOnInputs: boolean,
): { ids: Int32Array; labels: Int32Array } {
  const length = row.reduce((sum, { source, answer }) => sum + source.length + answer.length, 0);
  const ids = new Int32Array(length);
  const labels = new Int32Array(length).fill(-100);
  let at = 0;
  for (const { source, answer, learnt } of row)
    for (const [part, carriesLoss] of [
      [source, trainOnInputs],
      [answer, learnt],
    ] as const) {
      ids.set(part, at);
      if (carriesLoss) labels.set(part, at);
      at += part.length;
    }
  return { ids, labels };
}
