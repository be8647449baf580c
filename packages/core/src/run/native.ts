/** The optional Rust package, loaded when somebody asks for it. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export type NativeModule = typeof import("@medgpt/native");

const require = createRequire(import.meta.url);

/** Why the native module cannot be used here, and what to type, each in one line. */
export interface NativeProblem {
  readonly reason: string;
  readonly remedy: string;
}

export function loadNative(): { native: NativeModule } | NativeProblem {
  try {
    return { native: require("@medgpt/native") as NativeModule };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND")
      return {
        reason: "@medgpt/native is not installed",
        remedy:
          "npm install @medgpt/native, or in a clone of the repository install Rust (https://rustup.rs) and run: npm run setup",
      };
    const build = join(dirname(require.resolve("@medgpt/native")), "build.mjs");
    return {
      reason: (error as Error).message,
      remedy: `to build the library for this machine, install Rust (https://rustup.rs) and run: node ${build}`,
    };
  }
}
