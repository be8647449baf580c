/**
 * What changes the scores of the next token before it is chosen, in the order and to the letter of transformers'
 * generation/logits_process.py. Every function changes `logits` (vocab) in place; -Infinity is a token ruled out.
 */

/** Tokens that were there already become less likely (Keskar et al. 2019, arXiv:1909.05858). */
export function repetitionPenalty(logits: Float32Array, history: Iterable<number>, penalty: number): void {
  for (const id of new Set(history)) {
    const score = logits[id] as number;
    logits[id] = score < 0 ? score * penalty : score / penalty;
  }
}

/** Rules out every token that would repeat `size` tokens in a row of `among`. */
export function noRepeatNgram(
  logits: Float32Array,
  history: ArrayLike<number>,
  size: number,
  among: ArrayLike<number> = history,
): void {
  const start = history.length - size + 1;
  if (start < 0) return;
  for (let at = 0; at + size <= among.length; at++) {
    let same = true;
    for (let i = 0; i < size - 1 && same; i++) same = among[at + i] === history[start + i];
    if (same) logits[among[at + size - 1] as number] = -Infinity;
  }
}

/** Adds a bias to the last token of each sequence whose other tokens are the newest. */
export function sequenceBias(
  logits: Float32Array,
  history: readonly number[],
  biases: readonly (readonly [ids: readonly number[], bias: number])[],
): void {
  for (const [ids, bias] of biases) {
    const start = history.length - ids.length + 1;
    if (start >= 0 && ids.slice(0, -1).every((id, i) => id === history[start + i]))
      logits[ids.at(-1) as number]! += bias;
  }
}

/** Rules out tokens; ids beyond the vocabulary are none. */
export function suppress(logits: Float32Array, ids: Iterable<number>): void {
  for (const id of ids) logits[id] = -Infinity;
}

/** Rules out all other tokens. */
export function force(logits: Float32Array, ids: Iterable<number>): void {
  logits.fill(-Infinity);
  for (const id of ids) logits[id] = 0;
}

/** Makes tokens likelier by their distance from 0 times `factor ** steps - 1`. */
export function decayLength(logits: Float32Array, ids: Iterable<number>, factor: number, steps: number): void {
  for (const id of new Set(ids)) {
    const score = logits[id];
    if (Number.isFinite(score)) logits[id]! += Math.abs(score as number) * (factor ** steps - 1);
  }
}

/** What is no finite number becomes one. */
export function removeInvalid(logits: Float32Array): void {
  const max = 3.4028234663852886e38;
  logits.forEach((score, id) => {
    if (Number.isNaN(score)) logits[id] = 0;
    else logits[id] = Math.min(max, Math.max(-max, score));
  });
}

export function temperature(logits: Float32Array, value: number): void {
  for (let i = 0; i < logits.length; i++) logits[i]! /= value;
}

/** Keeps the k likeliest, and with them those that are as likely as the last of them. */
export function topK(logits: Float32Array, k: number): void {
  if (k >= logits.length) return;
  const least = kthLargest(logits, k);
  for (let i = 0; i < logits.length; i++) if ((logits[i] as number) < least) logits[i] = -Infinity;
}

/** Keeps the likeliest tokens whose probabilities add up to p (Holtzman et al. 2019, arXiv:1904.09751). */
export function topP(logits: Float32Array, p: number, minTokensToKeep = 1): void {
  const probabilities = softmax(logits);
  // So unlikely that all of these together are within what is cut off: they need no sorting.
  const negligible = (1 - p) / logits.length;
  let sum = 0;
  const rest: number[] = [];
  probabilities.forEach((probability, id) => {
    if (probability >= negligible) rest.push(id);
    else sum += probability;
  });
  const kept = new Set(rest);
  // Of equal ones the first is kept longest.
  rest.sort((a, b) => (logits[a] as number) - (logits[b] as number) || b - a);
  for (const id of rest.slice(0, Math.max(0, rest.length - minTokensToKeep))) {
    sum += probabilities[id] as number;
    if (sum > 1 - p) break;
    kept.delete(id);
  }
  if (kept.size < minTokensToKeep) for (const id of likeliest(logits, minTokensToKeep)) kept.add(id);
  keepOnly(logits, (id) => kept.has(id));
}

/** Keeps tokens at least p times as likely as the likeliest (Nguyen et al. 2024, arXiv:2407.01082). */
export function minP(logits: Float32Array, p: number): void {
  const least = Math.log(p) + largest(logits);
  keepOnly(logits, (id) => (logits[id] as number) >= least);
}

/** Keeps tokens about as surprising as expected, up to a probability of p (Meister et al. 2022, arXiv:2202.00666). */
export function typicalP(logits: Float32Array, p: number): void {
  const probabilities = softmax(logits);
  const surprise = Float64Array.from(probabilities, (probability) => -Math.log(probability));
  const entropy = entropyOf(probabilities);
  const distance = surprise.map((value) => Math.abs(value - entropy));
  const order = Array.from(distance.keys()).sort((a, b) => (distance[a] as number) - (distance[b] as number));
  let sum = 0;
  const last = order.findIndex((id) => (sum += probabilities[id] as number) >= p);
  const farthest = distance[order.at(last) as number] as number;
  keepOnly(logits, (id) => (distance[id] as number) <= farthest);
}

/** Keeps the likeliest tokens whose share of the entropy is `share`, of the 100 likeliest (Potraghloo et al. 2025, arXiv:2509.02510). */
export function topH(logits: Float32Array, share: number): void {
  const best = likeliest(logits, Math.min(100, logits.length));
  const terms = softmax(best.map((id) => logits[id] as number)).map((p) => (p > 0 ? -p * Math.log(p) : 0));
  const most = share * terms.reduce((a, b) => a + b, 0);
  let sum = 0;
  const kept = new Set(best.filter((_, rank) => (sum += terms[rank] as number) <= most || rank === 0));
  keepOnly(logits, (id) => kept.has(id));
}

/** Keeps tokens of this probability and more (Hewitt et al. 2022, arXiv:2210.15191), and the likeliest. */
export function epsilonCutoff(logits: Float32Array, epsilon: number): void {
  const probabilities = softmax(logits);
  const max = largest(logits);
  keepOnly(logits, (id) => (probabilities[id] as number) >= epsilon || (logits[id] as number) >= max);
}

/** The same with a probability that is smaller where the model is uncertain. */
export function etaCutoff(logits: Float32Array, epsilon: number): void {
  epsilonCutoff(logits, Math.min(epsilon, Math.sqrt(epsilon) * Math.exp(-entropyOf(softmax(logits)))));
}

/** Probabilities in double precision. */
export function softmax(logits: ArrayLike<number>): Float64Array {
  const max = largest(logits);
  const out = Float64Array.from(logits, (logit) => Math.exp(logit - max));
  const sum = out.reduce((a, b) => a + b, 0);
  return out.map((value) => value / sum);
}

/** Log-probabilities. */
export function logSoftmax(logits: Float32Array): Float32Array {
  const max = largest(logits);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - max);
  const normaliser = max + Math.log(sum);
  return logits.map((logit) => logit - normaliser);
}

/** The first of the largest. */
export function argMax(logits: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] as number) > (logits[best] as number)) best = i;
  return best;
}

/** The indices of the k largest, in falling order, the first one first where equal. */
export function likeliest(values: ArrayLike<number>, k: number): number[] {
  const best: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (best.length === k && value <= (values[best[k - 1] as number] as number)) continue;
    let at = best.length;
    while (at > 0 && (values[best[at - 1] as number] as number) < value) at--;
    best.splice(at, 0, i);
    if (best.length > k) best.pop();
  }
  return best;
}

/** @param uniform a number from 0 to less than 1 */
export function sample(logits: Float32Array, uniform: number): number {
  const max = largest(logits);
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - max);
  let left = uniform * total;
  let last = 0;
  for (let id = 0; id < logits.length; id++) {
    const weight = Math.exp((logits[id] as number) - max);
    if (weight === 0) continue;
    last = id;
    left -= weight;
    if (left < 0) return id;
  }
  return last;
}

function entropyOf(probabilities: Float64Array): number {
  return probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
}

function largest(values: ArrayLike<number>): number {
  let max = -Infinity;
  for (let i = 0; i < values.length; i++) if ((values[i] as number) > max) max = values[i] as number;
  return max;
}

function kthLargest(values: Float32Array, k: number): number {
  return k <= 256
    ? (values[likeliest(values, k)[k - 1] as number] as number)
    : (values.slice().sort()[values.length - k] as number);
}

function keepOnly(logits: Float32Array, kept: (id: number) => boolean): void {
  const out = logits.map((logit, id) => (kept(id) ? logit : -Infinity));
  logits.set(out);
}
