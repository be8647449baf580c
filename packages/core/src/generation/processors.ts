/** What is done to the scores of the next token before it is chosen: a list in the order of transformers' generate(). */
import { InputError } from "@medgpt/artifacts";
import { eosIds, type GenerationConfig } from "./generation-config.js";
import * as logits from "./logits.js";

/** A sequence whose next token is to be chosen. */
export interface Sequence {
  /** The prompt and what was generated. */
  readonly history: readonly number[];
  /** Tokens of the prompt. */
  readonly start: number;
  /** Most tokens in all. */
  readonly limit: number;
}

export interface Processor {
  /** Whether it changes anything now; by default it always does. */
  readonly when?: (sequence: Sequence) => boolean;
  /** Changes the scores (vocab) in place. */
  readonly apply: (scores: Float32Array, sequence: Sequence) => void;
}

/**
 * What changes scores in any way of choosing.
 * @throws InputError where a token has a bias that the model does not have
 */
export function processors(config: GenerationConfig, vocabSize: number): Processor[] {
  const eos = eosIds(config);
  const list: Processor[] = [];
  const add = (apply: Processor["apply"], when?: Processor["when"]): void => {
    list.push(when === undefined ? { apply } : { apply, when });
  };
  const {
    repetition_penalty: penalty,
    encoder_repetition_penalty: promptPenalty,
    no_repeat_ngram_size: size,
    encoder_no_repeat_ngram_size: promptSize,
    forced_bos_token_id: first,
    exponential_decay_length_penalty: decay,
  } = config;
  const begins = ({ history, start }: Sequence): boolean =>
    history.length === (start > 1 || first === null ? start : start + 1);
  const least = ({ start }: Sequence): number =>
    config.min_new_tokens === null ? config.min_length : start + config.min_new_tokens;

  const biases = unique(config.sequence_bias ?? []);
  const bad = unique((config.bad_words_ids ?? []).map((ids) => [ids, -Infinity]));
  for (const [key, entries] of Object.entries({ sequence_bias: biases, bad_words_ids: bad }))
    for (const id of entries.flatMap(([ids]) => ids))
      if (id >= vocabSize) throw new InputError(`"${key}": there is no token ${id}; the model has ${vocabSize}`);

  if (biases.length > 0) add((scores, { history }) => logits.sequenceBias(scores, history, biases));
  if (promptPenalty !== 1)
    add((scores, { history, start }) => logits.repetitionPenalty(scores, history.slice(0, start), 1 / promptPenalty));
  if (penalty !== 1) add((scores, { history }) => logits.repetitionPenalty(scores, history, penalty));
  if (size > 0) add((scores, { history }) => logits.noRepeatNgram(scores, history, size));
  if (promptSize > 0)
    add((scores, { history, start }) => logits.noRepeatNgram(scores, history, promptSize, history.slice(0, start)));
  // A text must be able to end.
  const banned = bad.filter(([ids]) => ids.length > 1 || !eos.includes(ids[0] as number));
  if (banned.length > 0) add((scores, { history }) => logits.sequenceBias(scores, history, banned));
  if (eos.length > 0 && (config.min_length > 0 || (config.min_new_tokens ?? 0) > 0))
    add(
      (scores) => logits.suppress(scores, eos),
      (sequence) => sequence.history.length < least(sequence),
    );
  if (first !== null)
    add(
      (scores) => logits.force(scores, [first]),
      ({ history }) => history.length === 1,
    );
  const last = [config.forced_eos_token_id ?? []].flat();
  if (last.length > 0)
    add(
      (scores) => logits.force(scores, last),
      ({ history, limit }) => history.length === limit - 1,
    );
  if (config.remove_invalid_values) add(logits.removeInvalid);
  if (decay !== null) {
    const late = ({ history, start }: Sequence): number => history.length - start - decay[0];
    add(
      (scores, sequence) => logits.decayLength(scores, eos, decay[1], late(sequence)),
      (sequence) => late(sequence) > 0,
    );
  }
  const never = config.suppress_tokens ?? [];
  if (never.length > 0) add((scores) => logits.suppress(scores, never));
  const notFirst = config.begin_suppress_tokens ?? [];
  if (notFirst.length > 0) add((scores) => logits.suppress(scores, notFirst), begins);
  // What is added up over beams is to be log-probabilities; a single choice is the same with or without.
  if (config.renormalize_logits && config.num_beams > 1) add((scores) => scores.set(logits.logSoftmax(scores)));
  return list;
}

/** What leaves out tokens before one is drawn at random. */
export function warp(scores: Float32Array, config: GenerationConfig): void {
  if (config.temperature !== 1) logits.temperature(scores, config.temperature);
  if (config.top_h !== null) logits.topH(scores, config.top_h);
  if (config.top_k > 0) logits.topK(scores, config.top_k);
  if (config.top_p < 1) logits.topP(scores, config.top_p);
  if (config.min_p !== null) logits.minP(scores, config.min_p);
  if (config.typical_p < 1) logits.typicalP(scores, config.typical_p);
  if (config.epsilon_cutoff > 0 && config.epsilon_cutoff < 1) logits.epsilonCutoff(scores, config.epsilon_cutoff);
  if (config.eta_cutoff > 0 && config.eta_cutoff < 1) logits.etaCutoff(scores, config.eta_cutoff);
}

/** Applies those that change something now. */
export function adjustScores(scores: Float32Array, list: readonly Processor[], sequence: Sequence): void {
  for (const { when, apply } of list) if (when?.(sequence) ?? true) apply(scores, sequence);
}

/** Of the same sequence of tokens the last entry counts. */
function unique(entries: readonly [ids: number[], bias: number][]): [ids: number[], bias: number][] {
  return [...new Map(entries.map((entry) => [entry[0].join(), entry])).values()];
}
