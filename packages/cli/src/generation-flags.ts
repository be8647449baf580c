/** How answers are generated: by the flags, then by the files of the model's folder. */
import { InputError } from "@medgpt/artifacts";
import { flag, topic } from "@medgpt/core/config";
import { generationConfigFile, resolveGenerationConfig, type GenerationConfig } from "@medgpt/core/generation";
import { z } from "zod";

const optional = <T extends z.ZodType>(type: T, help: string, alias: readonly string[] = []) =>
  flag(type.nullable(), { default: null as z.output<z.ZodNullable<T>>, help, alias });

/** New tokens where neither a flag nor the model's folder says how many. */
const DEFAULT_NEW_TOKENS = 512;

/** A flag that is not given takes its value from generation_config.json, else transformers' default. */
export const generationFlags = topic("Generation", {
  max_new_tokens: optional(
    z.int().min(1),
    `Most tokens of an answer; by default what generation_config.json says, else ${DEFAULT_NEW_TOKENS}.`,
  ),
  do_sample: optional(z.boolean(), "Draw tokens at random instead of taking the likeliest."),
  temperature: optional(
    z.number().min(0),
    "Below 1 makes likely tokens likelier; 0 takes the likeliest, as --do_sample False.",
  ),
  top_k: optional(z.int().min(0), "Draw from so many of the likeliest tokens; 0 for all."),
  top_p: optional(z.number().min(0).max(1), "Draw from the likeliest tokens of this probability together."),
  min_p: optional(z.number().min(0).max(1), "Draw from tokens at least so likely beside the likeliest."),
  repetition_penalty: optional(z.number().gt(0), "Above 1 makes tokens that were there less likely."),
  no_repeat_ngram_size: optional(z.int().min(0), "Never repeat so many tokens in a row."),
  num_beams: optional(z.int().min(1), "Search with so many beams."),
  stop_str: optional(z.array(z.string()), "Texts that end an answer, beside the model's own.", ["stop_strings"]),
  seed: flag(z.int().min(0), { default: 42, help: "The seed of random draws." }),
});

export type GenerationFlags = z.output<z.ZodObject<typeof generationFlags>>;

const OF_DRAWING = ["temperature", "top_k", "top_p", "min_p"] as const;

/** The settings of the model's folder, and the tokens and texts that end its answers. */
export interface ModelGeneration {
  readonly dir: string;
  readonly written: Partial<GenerationConfig>;
  readonly stopIds: readonly number[];
  readonly stopStrings: readonly string[];
}

/**
 * The settings of the folder with the flags that were given in their place, checked together.
 * @param say told of flags that change nothing
 * @throws InputError for values that are not possible, with advice
 */
export function generationOf(
  flags: GenerationFlags,
  { dir, written, stopIds, stopStrings }: ModelGeneration,
  say: (text: string) => void,
): GenerationConfig {
  const place = generationConfigFile(dir);
  const { stop_str, ...rest } = Object.fromEntries(
    Object.keys(generationFlags).map((key) => [key, flags[key as keyof GenerationFlags]]),
  ) as GenerationFlags;
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null));
  const drawing = OF_DRAWING.filter((key) => key in given);
  if (flags.temperature === 0) {
    if (flags.do_sample === true)
      throw new InputError("0 takes the likeliest token, and --do_sample True draws at random; leave one out", {
        place: "--temperature",
      });
    given["do_sample"] = false;
  } else if (flags.do_sample === null && drawing.length > 0) given["do_sample"] = true; // asking how to draw is asking to draw
  if (given["do_sample"] === false)
    for (const key of drawing.filter((key) => flags[key] !== 0 || key !== "temperature"))
      say(`--${key}: changes nothing here, because the likeliest token is taken and none is drawn`);
  const asked = written.num_return_sequences ?? 1;
  if (asked !== 1)
    say(`${place}: "num_return_sequences" is ${JSON.stringify(asked)}; each prompt gets one answer here`);

  const lengths = written.max_new_tokens === undefined && written.max_length === undefined;
  const stops = [written.stop_strings ?? [], stopStrings, stop_str ?? []].flat();
  const merged = {
    ...(lengths ? { max_new_tokens: DEFAULT_NEW_TOKENS } : {}),
    ...written,
    ...given,
    num_return_sequences: 1,
    eos_token_id: [...new Set([written.eos_token_id ?? [], stopIds].flat())],
    stop_strings: stops.length === 0 ? null : stops,
  };
  const config = resolveGenerationConfig(merged, { place, remedy });
  if (config.num_beams > 1 && config.do_sample)
    throw new InputError("beams are not drawn at random here; give --do_sample False, or --num_beams 1", { place });
  return config;
}

/** What replaces a value of the file. */
function remedy(key: string): string {
  if (key === "temperature") return "give --temperature, or --do_sample False to take the likeliest token";
  if (key === "max_length") return "give --max_new_tokens, or change the file";
  return key in generationFlags ? `give --${key}, or change the file` : "change the file, or take this out of it";
}
