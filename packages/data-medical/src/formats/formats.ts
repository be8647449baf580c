import { alpaca } from "./alpaca.js";
import { belle } from "./belle.js";
import type { Format } from "./format.js";
import { huatuo } from "./huatuo.js";
import { messages } from "./messages.js";
import { promptCompletion, qa } from "./pairs.js";
import { qaPreference, sharegptPreference, trlPreference } from "./preference.js";
import { prompt } from "./prompt.js";
import { sharegpt } from "./sharegpt.js";
import { text } from "./text.js";

/** Every format that is read. */
export const FORMATS: readonly Format[] = [
  text,
  sharegpt,
  messages,
  alpaca,
  qa,
  promptCompletion,
  belle,
  huatuo,
  sharegptPreference,
  qaPreference,
  trlPreference,
  prompt,
];
