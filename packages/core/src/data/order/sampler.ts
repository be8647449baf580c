/** The order in which the reference visits its rows. */
import { NumpyRandom } from "./numpy-random.js";

/**
 * torch.randperm(n, generator=torch.Generator().manual_seed(seed)) on the CPU: Fisher-Yates on the raw 32-bit draws of a
 * Mersenne Twister (PyTorch seeds it with the low 32 bits). Holds for n < 2^32 / 20, beyond which PyTorch draws 64 bits.
 */
export function torchRandperm(n: number, seed: number): Int32Array {
  const random = mersenneTwister(seed);
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < n - 1; i++) {
    const j = i + (random() % (n - i));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/**
 * The order of rows in an epoch (from 0) of the Hugging Face Trainer: accelerate's SeedableRandomSampler starts a
 * generator at seed + epoch.
 */
export function epochOrder(
  n: number,
  { seed, epoch, strategy }: { seed: number; epoch: number; strategy: "random" | "sequential" },
): Int32Array {
  return strategy === "random" ? torchRandperm(n, seed + epoch) : Int32Array.from({ length: n }, (_, i) => i);
}

/**
 * How many documents from the start MedicalGPT evaluates on where it is given no validation set: load_dataset's
 * split="train[:p%]"; the rest, "train[p%:]", is trained on. Rounded as Python rounds, half to even.
 */
export function validationCount(documents: number, percent: number): number {
  const exact = (percent * documents) / 100;
  const below = Math.floor(exact);
  return exact - below === 0.5 ? below + (below % 2) : Math.round(exact);
}

/** The order of datasets' Dataset.shuffle(seed). */
export function shuffledOrder(n: number, seed: number): Int32Array {
  return NumpyRandom.seeded(BigInt(seed)).permutation(n);
}

/** The rows of datasets' Dataset.train_test_split(percent / 100, seed=seed). */
export function trainTestSplit(n: number, percent: number, seed: number): { train: Int32Array; test: Int32Array } {
  const held = Math.ceil((percent / 100) * n);
  const order = shuffledOrder(n, seed);
  return { train: order.subarray(held), test: order.subarray(0, held) };
}

/** MT19937 (Matsumoto and Nishimura, 1998): draws of 32 bits. */
function mersenneTwister(seed: number): () => number {
  const N = 624;
  const state = new Uint32Array(N);
  state[0] = seed; // a Uint32Array keeps the low 32 bits, of negative numbers too
  for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, state[i - 1]! ^ (state[i - 1]! >>> 30)) + i;
  let next = N;
  return () => {
    if (next === N) {
      for (let i = 0; i < N; i++) {
        const y = (state[i]! & 0x80000000) | (state[(i + 1) % N]! & 0x7fffffff);
        state[i] = state[(i + 397) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      next = 0;
    }
    let y = state[next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}
