/** The backends that tests run on: js always, native where it is built. */
import type { Backend } from "../backends/backend.js";
import { createJsBackend } from "../backends/js/js-backend.js";
import { createNativeBackend } from "../backends/native/native-backend.js";
import { loadNative } from "../native.js";

export interface TestBackend {
  readonly name: string;
  create(): Promise<Backend>;
}

/** A backend with one instruction set and thread count. Those of one group must agree bit for bit. */
export interface BackendVariant extends TestBackend {
  readonly group: string;
}

const JS: TestBackend = { name: "js", create: () => Promise.resolve(createJsBackend()) };

/** One of each kind, as a user gets it. */
export function availableBackends(): Promise<TestBackend[]> {
  const native: TestBackend = { name: "native", create: () => Promise.resolve(createNativeBackend()) };
  return Promise.resolve(hasNative() ? [JS, native] : [JS]);
}

/** js, and native with every instruction set that this machine has, on one and two threads. */
export async function backendVariants(): Promise<BackendVariant[]> {
  const variants: BackendVariant[] = [{ ...JS, group: "js" }];
  if (!hasNative()) return variants;
  for (const isa of ["portable", "avx512", "avx512bf16"]) {
    if (!(await hasInstructionSet(isa))) continue;
    for (const threads of [1, 2]) {
      variants.push({
        name: `native ${isa}, threads: ${threads}`,
        group: `native ${isa}`,
        create: () => Promise.resolve(createNativeBackend({ isa, threads })),
      });
    }
  }
  return variants;
}

function hasNative(): boolean {
  return !("reason" in loadNative());
}

async function hasInstructionSet(isa: string): Promise<boolean> {
  try {
    await createNativeBackend({ isa, threads: 1 }).dispose();
    return true;
  } catch (error) {
    if ((error as Error).message.includes("is not on this CPU")) return false;
    throw error;
  }
}
