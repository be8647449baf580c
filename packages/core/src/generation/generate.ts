/** Continues texts token by token: greedily, by sampling, or with beams. */
import { InputError } from "@medgpt/artifacts";
import type { CausalLm } from "../models/role.js";
import { seededRandom } from "../numeric/seeded-random.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { beamSearch, type GeneratedText } from "./beam-search.js";
import { eosIds, resolveGenerationConfig, type GenerationConfig } from "./generation-config.js";
import { KvCache } from "./kv-cache.js";
import { argMax, sample } from "./logits.js";
import { newest, NextTokens, type Pass } from "./next-tokens.js";
import { adjustScores, processors, warp } from "./processors.js";

export interface GenerateOptions {
  /** Sequences decoded at a time; as soon as one ends, the next takes its place. Default 8. */
  readonly batchSize?: number;
  /** What errors call the prompts; by default their numbers, from 0. */
  readonly names?: readonly string[] | undefined;
  /** Needed for `stop_strings`. */
  readonly tokenizer?: Tokenizer | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface GeneratedToken {
  /** The prompt that it belongs to. */
  readonly index: number;
  readonly id: number;
  /** Why this is the last one, if it is. */
  readonly finished?: "eos" | "stop" | "length";
}

/** The seed of the draws for prompt `index` of a run with this seed. */
export function seedOf(seed: number, index: number): number {
  return (seed + index * 0x9e3779b1) % 2 ** 32;
}

/** New tokens where nothing says how many. */
const DEFAULT_NEW_TOKENS = 256;

/** Prompt tokens run through the model at a time. */
const PREFILL = 4096;

/**
 * Streams the tokens that continue each prompt, as soon as they are there. A sequence's tokens do not depend on what else is
 * decoded beside it, nor do its random draws. An end-of-text token is given too. Beams are not streamed; see `generate`.
 * @throws InputError for a prompt that is empty or leaves no room, DOMException AbortError when the signal is aborted
 */
export async function* streamTokens(
  model: CausalLm,
  prompts: readonly Int32Array[],
  given: Partial<GenerationConfig> = {},
  { batchSize = 8, names, tokenizer, signal }: GenerateOptions = {},
): AsyncGenerator<GeneratedToken, void, undefined> {
  const config = resolveGenerationConfig(given);
  if (config.num_beams > 1) throw new InputError("beams are not streamed: num_beams must be 1");
  const limits = prompts.map((prompt, index) =>
    lengthLimit(model, prompt, names?.[index] ?? `prompt ${index}`, config),
  );
  const stops = stopStrings(config, tokenizer);
  const eos = new Set(eosIds(config));
  const processing = processors(config, model.options.vocabSize);
  const slots = Math.min(batchSize, prompts.length);
  const waiting = prompts.map((prompt, index) => ({
    ...{ index, slot: -1, history: [...prompt], start: prompt.length, limit: limits[index] as number },
    random: seededRandom(seedOf(config.seed, index)),
  }));
  type Running = (typeof waiting)[number];
  const choose = (scores: Float32Array, sequence: Running): number => {
    adjustScores(scores, processing, sequence);
    if (config.do_sample) warp(scores, config);
    const id = config.do_sample ? sample(scores, sequence.random()) : argMax(scores);
    if (scores[id] === -Infinity)
      throw new InputError(
        `every token is ruled out after ${sequence.history.length - sequence.start} new ones; see suppress_tokens, bad_words_ids and no_repeat_ngram_size in generation_config.json`,
      );
    return id;
  };
  const cache = new KvCache(model, slots, Math.max(0, ...limits));
  const following = new NextTokens(model, cache);
  const free = Array.from({ length: slots }, (_, slot) => slot);
  let running: Running[] = [];
  const interrupt = (): void => model.backend.abort();
  signal?.addEventListener("abort", interrupt);
  try {
    while (waiting.length > 0 || running.length > 0) {
      signal?.throwIfAborted();
      // A prompt and the running sequences never share a pass: the former is arithmetic, the latter memory.
      const admitted: Running[] = [];
      for (let tokens = 0; free.length > 0 && waiting.length > 0 && tokens < PREFILL;) {
        const next = { ...(waiting.shift() as Running), slot: free.shift() as number };
        admitted.push(next);
        tokens += next.start;
      }
      const active = admitted.length > 0 ? admitted : running;
      const pass: Pass =
        admitted.length > 0
          ? { prompts: admitted.map(({ slot, history }) => ({ slot, ids: history })) }
          : { next: running.map(({ slot, history }) => ({ slot, ...newest(history) })) };
      const asScored = !config.do_sample && !processing.some(({ when }) => active.some((one) => when?.(one) ?? true));
      const choices = asScored ? await following.likeliest(pass) : await following.logits(pass);
      for (const [row, sequence] of active.entries()) {
        const { index, history, start, limit } = sequence;
        const choice = choices[row] as number | Float32Array;
        const id = typeof choice === "number" ? choice : choose(choice, sequence);
        history.push(id);
        const finished = eos.has(id)
          ? "eos"
          : hitsStop(history, start, stops, tokenizer)
            ? "stop"
            : history.length >= limit
              ? "length"
              : undefined;
        yield { index, id, ...(finished === undefined ? {} : { finished }) };
        if (finished !== undefined) {
          free.push(sequence.slot);
          sequence.slot = -1;
        }
      }
      running = [...running.filter((one) => !admitted.includes(one)), ...admitted].filter(({ slot }) => slot >= 0);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
    following.dispose();
    cache.dispose();
  }
}

/** The whole continuations: for each prompt `num_return_sequences` of them, the best first where beams are searched. */
export async function generate(
  model: CausalLm,
  prompts: readonly Int32Array[],
  given: Partial<GenerationConfig> = {},
  options: GenerateOptions = {},
): Promise<GeneratedText[][]> {
  const config = resolveGenerationConfig(given);
  const { num_return_sequences: wanted, num_beams: beams } = config;
  if (beams > 1) {
    if (config.do_sample) throw new InputError("beams are not sampled: do_sample must be false");
    if (wanted > beams) throw new InputError(`num_return_sequences ${wanted} is more than num_beams ${beams}`);
    const stops = stopStrings(config, options.tokenizer);
    const results: GeneratedText[][] = [];
    for (const [index, prompt] of prompts.entries()) {
      const ends = (ids: readonly number[]) => hitsStop(ids, prompt.length, stops, options.tokenizer);
      const limit = lengthLimit(model, prompt, options.names?.[index] ?? `prompt ${index}`, config);
      results.push(await beamSearch(model, prompt, limit, config, ends, options.signal));
    }
    return results;
  }
  if (wanted > 1 && !config.do_sample) throw new InputError("greedy decoding gives one sequence for each prompt");
  const copied = <T>(one: T): T[] => Array<T>(wanted).fill(one);
  const copies = prompts.flatMap(copied);
  const ids = copies.map((): number[] => []);
  for await (const { index, id } of streamTokens(model, copies, config, {
    ...options,
    names: options.names?.flatMap(copied),
  }))
    ids[index]?.push(id);
  return prompts.map((_, index) =>
    ids.slice(index * wanted, (index + 1) * wanted).map((ids) => ({ ids: Int32Array.from(ids) })),
  );
}

/** Most tokens of a prompt and its continuation. */
function lengthLimit(model: CausalLm, prompt: Int32Array, place: string, config: GenerationConfig): number {
  const { maxPositions = Infinity } = model.options;
  const { max_new_tokens: most, max_length: all } = config;
  if (prompt.length === 0) throw new InputError("the prompt is empty; it needs at least one token", { place });
  if (prompt.length >= maxPositions)
    throw new InputError(`the prompt has ${prompt.length} tokens; the model has ${maxPositions} positions in all`, {
      place,
    });
  if (most !== null || all === null) return Math.min(prompt.length + (most ?? DEFAULT_NEW_TOKENS), maxPositions);
  if (prompt.length >= all)
    throw new InputError(
      `the prompt has ${prompt.length} tokens, and max_length allows ${all} together with the answer; give max_new_tokens`,
      { place },
    );
  return Math.min(all, maxPositions);
}

function stopStrings({ stop_strings: stops }: GenerationConfig, tokenizer: Tokenizer | undefined): readonly string[] {
  const list = stops === null ? [] : typeof stops === "string" ? [stops] : stops;
  if (list.length > 0 && tokenizer === undefined) throw new InputError("stop_strings need the tokenizer");
  return list;
}

/** Whether the newest token completes a stop string. */
function hitsStop(
  ids: readonly number[],
  promptLength: number,
  stops: readonly string[],
  tokenizer: Tokenizer | undefined,
): boolean {
  if (stops.length === 0 || tokenizer === undefined) return false;
  // A token is at least a byte, so no more of them than bytes can take part.
  const longest = Math.max(...stops.map((stop) => Buffer.byteLength(stop)));
  const text = tokenizer.decode(ids.slice(Math.max(promptLength, ids.length - longest - 1)));
  return stops.some((stop) => text.includes(stop));
}
