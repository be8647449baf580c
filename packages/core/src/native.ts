/** The optional Rust package, loaded when somebody asks for it. */
import { createRequire } from "node:module";

export type NativeModule = typeof import("@medgpt/native");

const require = createRequire(import.meta.url);

/** The native module, or in one line why it cannot be used here. */
export function loadNative(): { native: NativeModule } | { reason: string } {
  try {
    return { native: require("@medgpt/native") as NativeModule };
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND";
    return { reason: missing ? "@medgpt/native is not installed" : (error as Error).message };
  }
}
