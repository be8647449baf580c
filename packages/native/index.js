import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL(`dist/medgpt-native.${process.platform}-${process.arch}.node`, import.meta.url));
if (!existsSync(file)) {
  throw new Error(
    `the native library for ${process.platform}-${process.arch} is not built (${file} is missing); ` +
      `install Rust (https://rustup.rs) and run "node build.mjs" in the folder of @medgpt/native`,
  );
}

export const { Engine, Tokenizer, instructionSets, peakGflops } = createRequire(import.meta.url)(file);
