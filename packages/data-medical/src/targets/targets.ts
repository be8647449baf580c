import { alpaca } from "./alpaca.js";
import { messages } from "./messages.js";
import { preference } from "./preference.js";
import { prompt } from "./prompt.js";
import { sharegpt } from "./sharegpt.js";
import { text } from "./text.js";
import type { Target } from "./target.js";

/** Every format that is written, by the name that --to has. */
export const TARGETS = { sharegpt, messages, alpaca, text, preference, prompt } satisfies Record<string, Target>;

export type TargetName = keyof typeof TARGETS;

export const TARGET_NAMES = Object.keys(TARGETS) as [TargetName, ...TargetName[]];
