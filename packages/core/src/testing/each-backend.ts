/** The backends that tests run on: js always, native where it is built. */
import type { Backend } from "../backends/backend.js";
import { createJsBackend } from "../backends/js/js-backend.js";

export interface TestBackend {
  readonly name: string;
  create(): Promise<Backend>;
}

/** A backend in one of its instruction sets and thread counts. Those of one group must agree bit for bit. */
export interface BackendVariant extends TestBackend {
  readonly group: string;
}

const JS: TestBackend = { name: "js", create: () => Promise.resolve(createJsBackend()) };

/** One of each kind, as a user gets it. */
export async function availableBackends(): Promise<TestBackend[]> {
  return [JS];
}

export async function backendVariants(): Promise<BackendVariant[]> {
  return [{ ...JS, group: "js" }];
}
