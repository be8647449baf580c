/** A model opened for generation: base, adapter, tokenizer and the way conversations are written. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { InputError, openArtifact } from "@medgpt/artifacts";
import { chooseBackend, type Backend } from "@medgpt/core/backends";
import { endOfTurn, endOfTurnId, templateFlag } from "@medgpt/core/chat";
import { flag, required, resolvePrecision, topic } from "@medgpt/core/config";
import { readGenerationConfig, type GenerationConfig } from "@medgpt/core/generation";
import { checkTokenizer, loadCausalLm, otherBase, type CausalLm } from "@medgpt/core/models";
import {
  loadChatTemplate,
  loadTokenizer,
  PROMPT_TEMPLATES,
  renderDialog,
  type ChatMessage,
  type Tokenizer,
} from "@medgpt/core/tokenizer";
import { z } from "zod";

export const modelFlags = topic("Model", {
  model_name_or_path: required(z.string(), { help: "The folder of the model.", alias: ["base_model"] }),
  adapter: flag(z.string().nullable(), {
    default: null,
    alias: ["lora_model", "peft_path"],
    help: "The folder of an adapter, which is run beside the model, unmerged.",
  }),
  tokenizer_name_or_path: flag(z.string().nullable(), {
    default: null,
    alias: ["tokenizer_path"],
    help: "The folder of the tokenizer; by default the adapter's where it has one, else the model's.",
  }),
  template_name: templateFlag,
  system_prompt: flag(z.string().nullable(), {
    default: null,
    help: "What the model is told before the conversation.",
  }),
  torch_dtype: flag(z.enum(["auto", "bfloat16", "float16", "float32"]), {
    default: "auto",
    help: "Compute in float32, or in bfloat16 where the backend has it (every other value).",
  }),
  backend: flag(z.enum(["auto", "native", "js"]), {
    default: "auto",
    help: "Compute with the native kernels, in JavaScript, or with the fastest that is there (auto).",
  }),
});

const optional = <T extends z.ZodType>(type: T, help: string, alias: readonly string[] = []) =>
  flag(type.nullable(), { default: null as z.output<z.ZodNullable<T>>, help, alias });

/** Those left out are what generation_config.json says, else transformers' defaults. */
export const generationFlags = topic("Generation", {
  max_new_tokens: flag(z.int().min(1), { default: 512, help: "Most tokens of an answer." }),
  do_sample: optional(z.boolean(), "Draw tokens at random instead of taking the likeliest."),
  temperature: optional(z.number().gt(0), "Below 1 makes likely tokens likelier."),
  top_k: optional(z.int().min(0), "Draw from so many of the likeliest tokens."),
  top_p: optional(z.number().gt(0).max(1), "Draw from the likeliest tokens of this probability together."),
  min_p: optional(z.number().min(0).max(1), "Draw from tokens at least so likely beside the likeliest."),
  repetition_penalty: optional(z.number().gt(0), "Above 1 makes tokens that were there less likely."),
  no_repeat_ngram_size: optional(z.int().min(0), "Never repeat so many tokens in a row."),
  num_beams: optional(z.int().min(1), "Search with so many beams."),
  stop_str: optional(z.array(z.string()), "Texts that end an answer, beside the model's own.", ["stop_strings"]),
  seed: flag(z.int().min(0), { default: 42, help: "The seed of random draws." }),
});

type ModelConfig = z.output<z.ZodObject<typeof modelFlags>>;
type GenerationFlags = z.output<z.ZodObject<typeof generationFlags>>;

export interface TextModel {
  readonly model: CausalLm;
  readonly tokenizer: Tokenizer;
  readonly backend: Backend;
  /** How answers are generated unless the user says otherwise: what the model's folder says and what ends a turn. */
  readonly generation: Partial<GenerationConfig>;
  /** The ids up to where an answer begins; undefined where the model has no form of conversation. */
  readonly encodeChat: ((messages: readonly ChatMessage[]) => Int32Array) | undefined;
  close(): Promise<void>;
}

type Say = (text: string, level?: "info" | "warn") => void;

/** Opens what the flags name, and says what of it is not acted on. */
export async function openTextModel(config: ModelConfig, say: Say): Promise<TextModel> {
  const warn = (text: string): void => say(text, "warn");
  const base = await openArtifact(config.model_name_or_path, "causal-lm");
  const adapter = config.adapter === null ? undefined : await openArtifact(config.adapter, "adapter");
  const other = adapter && otherBase(adapter, base);
  if (other !== undefined) warn(`${config.adapter}: ${other}`);
  const own = adapter !== undefined && existsSync(join(adapter.dir, "tokenizer.json")) ? adapter.dir : base.dir;
  const tokenizer = await loadTokenizer(config.tokenizer_name_or_path ?? own);
  const { backend, reason } = await chooseBackend({ backend: config.backend });
  try {
    say(`backend: ${backend.name} (${backend.description}): ${reason}`);
    const half = config.torch_dtype !== "float32" && backend.dtypes.includes("bf16");
    const { precision } = resolvePrecision({ fp16: false, bf16: half, torch_dtype: null }, backend.dtypes);
    const model = await loadCausalLm(base.dir, { backend, compute: precision === "bf16" ? "bf16" : "f32", warn });
    if (adapter !== undefined) await model.loadAdapter(adapter.dir);
    checkTokenizer(tokenizer, model);
    const written = await readGenerationConfig(base.dir);
    const form = await chatForm(config, tokenizer);
    const eos = [written.eos_token_id ?? [], tokenizer.eosId ?? [], form?.stopIds ?? []].flat();
    const generation = {
      ...written,
      eos_token_id: [...new Set(eos)],
      ...(form === undefined || form.stopStrings.length === 0 ? {} : { stop_strings: [...form.stopStrings] }),
    };
    return { model, tokenizer, backend, generation, encodeChat: form?.encode, close: () => backend.dispose() };
  } catch (error) {
    await backend.dispose();
    throw error;
  }
}

/** The flags that were given over what the model's folder says. */
export function generationOf(flags: GenerationFlags, { generation }: TextModel): Partial<GenerationConfig> {
  const { stop_str, ...rest } = flags;
  const given = Object.fromEntries(
    Object.keys(generationFlags)
      .filter((key) => key !== "stop_str" && rest[key as keyof typeof rest] !== null)
      .map((key) => [key, rest[key as keyof typeof rest]]),
  ) as Partial<GenerationConfig>;
  const stops = [generation.stop_strings ?? [], stop_str ?? []].flat();
  // Asking for a way of drawing is asking to draw.
  const draws = ["temperature", "top_k", "top_p", "min_p"].some((key) => key in given);
  return {
    ...generation,
    ...(draws && flags.do_sample === null ? { do_sample: true } : {}),
    ...given,
    stop_strings: stops.length === 0 ? null : stops,
  };
}

interface ChatForm {
  readonly encode: (messages: readonly ChatMessage[]) => Int32Array;
  readonly stopIds: readonly number[];
  readonly stopStrings: readonly string[];
}

async function chatForm(config: ModelConfig, tokenizer: Tokenizer): Promise<ChatForm | undefined> {
  if (config.template_name !== null) {
    const template = PROMPT_TEMPLATES[config.template_name];
    const stop = tokenizer.tokenToId(template.stop);
    return {
      encode: (messages) =>
        tokenizer.encode(dialogText(messages, (turns, system) => renderDialog(template, turns, system))),
      stopIds: stop === undefined ? [] : [stop],
      stopStrings: stop === undefined ? [template.stop] : [],
    };
  }
  const template = await loadChatTemplate(tokenizer.dir);
  if (template === undefined) return undefined;
  // The template writes special tokens itself.
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const stop = endOfTurnId(tokenizer, endOfTurn(template));
  return {
    encode: (messages) => encode(template.render(messages, { addGenerationPrompt: true })),
    stopIds: stop === undefined ? [] : [stop],
    stopStrings: [],
  };
}

/** The text of a conversation in a format with a name, which knows questions and answers alone. */
function dialogText(
  messages: readonly ChatMessage[],
  render: (turns: readonly (readonly [string, string])[], system: string | undefined) => string[],
): string {
  const system = messages.find(({ role }) => role === "system")?.content;
  const spoken = messages.filter(({ role }) => role !== "system");
  const turns: [string, string][] = [];
  for (const { role, content } of spoken) {
    if (role === "user") turns.push([content, ""]);
    else if (role === "assistant" && turns.length > 0) (turns.at(-1) as [string, string])[1] = content;
    else throw new InputError(`this prompt format has user and assistant turns, not one of role "${role}"`);
  }
  return render(turns, system).slice(0, -1).join("");
}
