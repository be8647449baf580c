/** How text is generated, under transformers' names (GenerationConfig), with its defaults where it has one. */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { z } from "zod";
import { readJsonObject } from "../checkpoint/read-json-object.js";

const ids = z.union([z.int(), z.array(z.int())]).nullable();

export const generationConfig = z.object({
  max_new_tokens: z.int().min(1).default(256),
  /** No end of text before so many tokens. */
  min_new_tokens: z.int().min(0).default(0),
  do_sample: z.boolean().default(false),
  temperature: z.number().gt(0).default(1),
  /** 0 keeps all. */
  top_k: z.int().min(0).default(50),
  top_p: z.number().gt(0).max(1).default(1),
  min_p: z.number().min(0).max(1).nullable().default(null),
  typical_p: z.number().gt(0).max(1).default(1),
  repetition_penalty: z.number().gt(0).default(1),
  no_repeat_ngram_size: z.int().min(0).default(0),
  num_beams: z.int().min(1).default(1),
  num_return_sequences: z.int().min(1).default(1),
  length_penalty: z.number().default(1),
  early_stopping: z.union([z.boolean(), z.literal("never")]).default(false),
  /** Tokens that end a text; they are its last token then. */
  eos_token_id: ids.default(null),
  stop_strings: z
    .union([z.string(), z.array(z.string())])
    .nullable()
    .default(null),
  seed: z.int().min(0).default(42),
});

export type GenerationConfig = z.infer<typeof generationConfig>;

/** Fills in what is not given. */
export function resolveGenerationConfig(config: Partial<GenerationConfig> = {}): GenerationConfig {
  return generationConfig.parse(config);
}

/**
 * What generation_config.json of a model folder says; keys of transformers that mean nothing here are left out.
 * @throws InputError naming a key with a value that cannot be
 */
export async function readGenerationConfig(dir: string): Promise<Partial<GenerationConfig>> {
  const place = join(dir, "generation_config.json");
  const values = (await readJsonObject(place)) ?? {};
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
  const { data, error } = generationConfig.partial().safeParse(given);
  if (data !== undefined) return Object.fromEntries(Object.entries(data).filter(([key]) => key in given));
  const [issue] = error.issues;
  throw new InputError(`"${issue?.path.join(".")}": ${issue?.message}`, { place });
}

/** The ids that end a text. */
export function eosIds({ eos_token_id: eos }: GenerationConfig): readonly number[] {
  return eos === null ? [] : typeof eos === "number" ? [eos] : eos;
}
