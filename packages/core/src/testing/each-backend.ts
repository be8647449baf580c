/** The backends that tests run on: js always, native where it is built. */
import type { Backend } from "../backends/backend.js";
import { createJsBackend } from "../backends/js/js-backend.js";
import { createNativeBackend } from "../backends/native/native-backend.js";
import type { DType } from "../numeric/dtype.js";
import { loadNative } from "../run/native.js";

export interface TestBackend {
  readonly name: string;
  /**
   * What it must compute on, with every kernel: a backend that comes to lack one fails, where a test that asks the backend
   * itself would skip. Files may hold any dtype.
   */
  readonly dtypes: readonly DType[];
  create(): Promise<Backend>;
}

/** A backend with one instruction set and thread count. Those of one group must agree bit for bit. */
export interface BackendVariant extends TestBackend {
  readonly group: string;
}

// The oracle has doubles and no 16-bit buffers.
const JS: TestBackend = { name: "js", dtypes: ["f32", "i32"], create: () => Promise.resolve(createJsBackend()) };

const NATIVE_DTYPES: readonly DType[] = ["f32", "bf16", "i32", "u8"];

/** One of each kind, as a user gets it. */
export function availableBackends(): Promise<TestBackend[]> {
  const native: TestBackend = {
    name: "native",
    dtypes: NATIVE_DTYPES,
    create: () => Promise.resolve(createNativeBackend()),
  };
  return Promise.resolve(instructionSets().length > 0 ? [JS, native] : [JS]);
}

/** js, and native with every instruction set that this machine has. */
export function backendsOfEachInstructionSet(): TestBackend[] {
  const natives = instructionSets().map((isa): TestBackend => {
    return {
      name: `native (${isa})`,
      dtypes: NATIVE_DTYPES,
      create: () => Promise.resolve(createNativeBackend({ isa })),
    };
  });
  return [JS, ...natives];
}

/** js, and native with every instruction set that this machine has, on one and two threads. */
export function backendVariants(): BackendVariant[] {
  const variants: BackendVariant[] = [{ ...JS, group: "js" }];
  for (const isa of instructionSets()) {
    for (const threads of [1, 2]) {
      variants.push({
        name: `native ${isa}, threads: ${threads}`,
        group: `native ${isa}`,
        dtypes: NATIVE_DTYPES,
        create: () => Promise.resolve(createNativeBackend({ isa, threads })),
      });
    }
  }
  return variants;
}

/** Those that the native library has kernels for; none where it is not built. */
function instructionSets(): string[] {
  const loaded = loadNative();
  return "reason" in loaded ? [] : loaded.native.instructionSets();
}
