import { InputError } from "@medgpt/artifacts";
import type { Backend } from "./backend.js";
import type { BackendName } from "./names.js";
import { createJsBackend } from "./js/js-backend.js";
import { loadNative } from "../run/native.js";
import { createNativeBackend } from "./native/native-backend.js";

export interface BackendChoice {
  readonly backend: Backend;
  /** Why this one, for the log, after its name. */
  readonly reason: string;
}

/**
 * @param options.backend auto (default) takes native where its library loads and else js
 * @param options.threads threads of the native backend, by default as many as the machine gives this process
 * @throws InputError if native was asked for by name and cannot be used
 */
export async function chooseBackend(
  options: { backend?: "auto" | BackendName; threads?: number | undefined } = {},
): Promise<BackendChoice> {
  const { backend: wanted = "auto", threads } = options;
  if (wanted === "js") return { backend: createJsBackend(), reason: "as asked for" };
  const loaded = loadNative();
  if (!("reason" in loaded)) {
    const backend = createNativeBackend(threads === undefined ? {} : { threads });
    return { backend, reason: wanted === "native" ? "as asked for" : "the native library is here" };
  }
  if (wanted === "native") {
    throw new InputError(
      `the native backend is not available: ${loaded.reason}; ${loaded.remedy}. --backend js works without it, slower`,
      { place: "--backend" },
    );
  }
  return { backend: createJsBackend(), reason: `much slower than native, but ${loaded.reason}` };
}
