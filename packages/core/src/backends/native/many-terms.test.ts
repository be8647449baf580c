import { afterAll, describe, expect, it } from "vitest";
import { loadNative } from "../../run/native.js";
import type { Backend } from "../backend.js";
import { createNativeBackend } from "./native-backend.js";

const loaded = loadNative();

describe.skipIf("reason" in loaded)("a product of many terms on the native backend", () => {
  const backends: Backend[] = [];
  afterAll(() => Promise.all(backends.map((backend) => backend.dispose())));

  // The words of a call begin with room for 1,024; around that, too few would be cut off.
  it.each([1, 84, 85, 90, 101, 102, 200])("is the sum of all %i", async (count) => {
    const backend = createNativeBackend({ threads: 1 });
    backends.push(backend);
    const filled = (value: number) => {
      const view = { buffer: backend.alloc("f32", 1), offset: 0, dtype: "f32" } as const;
      backend.kernels.fill({ out: view, count: 1, value });
      return view;
    };
    const [a, b, out] = [filled(2), filled(3), filled(0)];
    const term = { a, lda: 1, aTrans: false, b, ldb: 1, bTrans: true, k: 1 };
    const terms = Array.from({ length: count }, (_, i) => ({ ...term, scale: i + 1 }));
    backend.kernels.matMul({ out, ldc: 1, m: 1, n: 1, bias: undefined, accumulate: 0, compute: 0, terms });
    expect(await backend.read(out, 1)).toEqual(Float32Array.of(6 * ((count * (count + 1)) / 2)));
  });
});
