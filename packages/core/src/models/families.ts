import { bloom } from "./bloom.js";
import type { Family } from "./family.js";
import { gemma2 } from "./gemma2.js";
import { gpt2 } from "./gpt2.js";
import { llama } from "./llama.js";
import { mistral } from "./mistral.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";

/** Every family that can be loaded. Adding one is a file and a line here. */
export const families: readonly Family[] = [bloom, gemma2, gpt2, llama, mistral, qwen2, qwen3];
