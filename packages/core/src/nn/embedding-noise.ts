import { philox } from "../numeric/philox.js";

export interface EmbeddingNoise {
  readonly alpha: number;
  readonly seed: number;
  readonly step: number;
  readonly microStep: number;
}

/** Keeps these draws apart from those of dropout masks, which have the same counters. */
const KEY = 0x4e454654;

/**
 * NEFTune's noise (Jain et al. 2023, arXiv:2310.05914): uniform between -1 and 1, times alpha / sqrt(L d) for a sequence of L
 * tokens. A function of seed, step, micro-step and place alone.
 * @param segments (sequences + 1), first token of each sequence, then the number of tokens
 * @param factor what the embeddings are multiplied by
 * @returns (tokens * hidden)
 */
export function embeddingNoise(
  segments: Int32Array,
  hidden: number,
  { alpha, seed, step, microStep, factor }: EmbeddingNoise & { readonly factor: number },
): Float32Array {
  const noise = new Float32Array(segments.at(-1)! * hidden);
  const words = new Uint32Array(4);
  const key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ KEY) >>> 0] as const;
  for (let sequence = 0; sequence + 1 < segments.length; sequence++) {
    const [begin, end] = [segments[sequence]!, segments[sequence + 1]!];
    const scale = (factor * alpha) / Math.sqrt((end - begin) * hidden) / 2 ** 31;
    for (let row = begin; row < end; row++)
      for (let column = 0; column < hidden; column += 4) {
        philox([column >> 2, row, microStep, step], key, words);
        for (let i = 0; i < Math.min(4, hidden - column); i++)
          noise[row * hidden + column + i] = scale * (words[i]! | 0);
      }
  }
  return noise;
}
