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

/** Rules out every token that would repeat `size` tokens in a row. */
export function noRepeatNgram(logits: Float32Array, history: ArrayLike<number>, size: number): void {
  const start = history.length - size + 1;
  if (start < 0) return;
  for (let at = 0; at < start; at++) {
    let same = true;
    for (let i = 0; i < size - 1 && same; i++) same = history[at + i] === history[start + i];
    if (same) logits[history[at + size - 1] as number] = -Infinity;
  }
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
  let entropy = 0;
  probabilities.forEach((probability, id) => {
    if (probability > 0) entropy += probability * (surprise[id] as number);
  });
  const distance = surprise.map((value) => Math.abs(value - entropy));
  const order = Array.from(distance.keys()).sort((a, b) => (distance[a] as number) - (distance[b] as number));
  let sum = 0;
  const last = order.findIndex((id) => (sum += probabilities[id] as number) >= p);
  const farthest = distance[order.at(last) as number] as number;
  keepOnly(logits, (id) => (distance[id] as number) <= farthest);
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
