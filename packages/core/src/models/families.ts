import { bloom } from "./bloom.js";
import type { Family } from "./family.js";
import { llama } from "./llama.js";
import { qwen2 } from "./qwen2.js";

/** Every family that can be loaded. Adding one is a file and a line here. */
export const families: readonly Family[] = [bloom, llama, qwen2];
