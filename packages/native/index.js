import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL(`dist/medgpt-native.${process.platform}-${process.arch}.node`, import.meta.url));
if (!existsSync(file)) {
  throw new Error(`@medgpt/native has no library for ${process.platform}-${process.arch} (${file} is missing)`);
}

export const { Engine, Tokenizer, instructionSets, peakGflops } = createRequire(import.meta.url)(file);
