/** How fast matrix products are here, beside what the arithmetic units could do. */
import { createNativeBackend } from "../backends/native/native-backend.js";
import { loadNative } from "../run/native.js";

export interface Measurement {
  readonly dtype: "f32" | "bf16";
  /** GFLOP/s of a product (1024, 1024) . (1024, 4096). */
  readonly product: number;
  /** GFLOP/s of a register loop on as many threads. */
  readonly peak: number;
}

const [M, K, N] = [1024, 1024, 4096];
/** Milliseconds of measuring for each dtype. */
const DURATION = 1500;

/** @throws Error where the native library cannot be used */
export async function measureProducts(threads: number): Promise<Measurement[]> {
  const loaded = loadNative();
  if ("reason" in loaded) throw new Error(`the native backend is not available: ${loaded.reason}`);
  const backend = createNativeBackend({ threads });
  const measure = async (dtype: "f32" | "bf16"): Promise<Measurement> => {
    const make = (size: number) => ({ buffer: backend.alloc(dtype, size), offset: 0, dtype });
    const [a, b, out] = [make(M * K), make(N * K), make(M * N)];
    for (const view of [a, b]) backend.kernels.fill({ out: view, count: view === a ? M * K : N * K, value: 0.5 });
    const term = { a, lda: K, aTrans: false, b, ldb: K, bTrans: true, k: K, scale: 1 };
    const compute = dtype === "bf16" ? 1 : 0;
    const run = async (): Promise<void> => {
      backend.kernels.matMul({ out, ldc: N, m: M, n: N, bias: undefined, accumulate: 0, compute, terms: [term] });
      await backend.sync();
    };
    await run();
    // In turn, and the best of each: other programs may take a share of any.
    let [product, peak] = [0, 0];
    for (const until = performance.now() + DURATION; performance.now() < until;) {
      peak = Math.max(peak, await loaded.native.peakGflops(compute === 1, threads, 50));
      const start = performance.now();
      await run();
      product = Math.max(product, (2 * M * K * N) / (performance.now() - start) / 1e6);
    }
    for (const view of [a, b, out]) backend.free(view.buffer);
    return { dtype, product, peak };
  };
  try {
    return [await measure("f32"), await measure("bf16")];
  } finally {
    await backend.dispose();
  }
}
