import type { CausalLm } from "../models/role.js";
import { eosIds, type GenerationConfig } from "./generation-config.js";
import { KvCache } from "./kv-cache.js";
import { likeliest, logSoftmax } from "./logits.js";
import { newest, NextTokens, type Pass } from "./next-tokens.js";
import { adjustScores, processors } from "./processors.js";

export interface GeneratedText {
  /** The new tokens, an end-of-text token included. */
  readonly ids: Int32Array;
  /** Of beams: the sum of log-probabilities over length ** length_penalty. */
  readonly score?: number;
}

/** As low as transformers has it: what is ruled out, without being infinite. */
const RULED_OUT = -1e9;

interface Beam {
  readonly ids: readonly number[];
  /** Sum of log-probabilities; of a finished one over length ** length_penalty. */
  readonly score: number;
}

interface Running extends Beam {
  readonly slot: number;
}

/**
 * The best sequences by beam search as transformers does it: of the (1 + number of end tokens) * beams likeliest
 * continuations the first `beams` may end, and the best that do not end run on.
 * @param limit most tokens with the prompt
 * @param ends whether a sequence must end for another reason than an end token
 */
export async function beamSearch(
  model: CausalLm,
  prompt: Int32Array,
  limit: number,
  config: GenerationConfig,
  ends: (ids: readonly number[]) => boolean,
  signal?: AbortSignal,
): Promise<GeneratedText[]> {
  const { num_beams: beams, length_penalty: penalty, early_stopping: early } = config;
  const eos = eosIds(config);
  const processing = processors(config, model.options.vocabSize);
  const kept = Math.max(2, 1 + eos.length) * beams;
  const cache = new KvCache(model, beams, limit);
  const following = new NextTokens(model, cache);
  const interrupt = (): void => model.backend.abort();
  signal?.addEventListener("abort", interrupt);
  try {
    let running: Running[] = [{ ids: [...prompt], score: 0, slot: 0 }];
    let finished: Beam[] = [];
    let pass: Pass = { prompts: [{ slot: 0, ids: prompt }] };
    for (let improvable = true; improvable;) {
      signal?.throwIfAborted();
      const logits = await following.logits(pass);
      const length = (running[0] as Running).ids.length;
      const scores = new Float32Array(running.length * (logits[0] as Float32Array).length);
      const vocab = scores.length / running.length;
      running.forEach(({ ids, score }, beam) => {
        const own = logSoftmax(logits[beam] as Float32Array);
        adjustScores(own, processing, { history: ids, start: prompt.length, limit });
        own.forEach((value, id) => (scores[beam * vocab + id] = value + score));
      });
      const best = likeliest(scores, kept).map((at, rank) => {
        const parent = running[Math.floor(at / vocab)] as Running;
        const id = at % vocab;
        const ids = [...parent.ids, id];
        const over = eos.includes(id) || ids.length >= limit || ends(ids);
        return { parent, ids, score: scores[at] as number, over, rank };
      });
      const newLength = length + 1 - prompt.length;
      if (!(early === true && finished.length === beams)) {
        const done = best
          .filter(({ over, rank }) => over && rank < beams)
          .map(({ ids, score }) => ({ ids, score: score / newLength ** penalty }));
        finished = [...finished, ...done].sort((a, b) => b.score - a.score).slice(0, beams);
      }
      const rest = best.filter(({ over }) => !over).slice(0, beams);
      if (rest.length === 0) break;
      running = place(cache, rest, length);
      pass = { next: running.map(({ slot, ids }) => ({ slot, ...newest(ids) })) };
      const horizon = early === "never" && penalty > 0 ? limit - prompt.length : newLength;
      const possible = (running[0] as Running).score / horizon ** penalty;
      const worst = finished.length === beams ? (finished.at(-1) as Beam).score : RULED_OUT;
      improvable = possible > worst && !(early === true && finished.length === beams);
    }
    return finished
      .slice(0, config.num_return_sequences)
      .map(({ ids, score }) => ({ ids: Int32Array.from(ids.slice(prompt.length)), score }));
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
    following.dispose();
    cache.dispose();
  }
}

/** Gives each continuation a slot: its parent's to the first of each parent, a copy of it to the others. */
function place(
  cache: KvCache,
  next: readonly { parent: Running; ids: readonly number[]; score: number }[],
  tokens: number,
): Running[] {
  const used = new Set(next.map(({ parent }) => parent.slot));
  const free = Array.from({ length: cache.slots }, (_, slot) => slot).filter((slot) => !used.has(slot));
  const taken = new Set<number>();
  return next.map(({ parent, ids, score }) => {
    if (!taken.has(parent.slot)) {
      taken.add(parent.slot);
      return { ids, score, slot: parent.slot };
    }
    const slot = free.shift() as number;
    cache.copy(parent.slot, slot, tokens);
    return { ids, score, slot };
  });
}
