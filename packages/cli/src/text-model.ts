/** A model opened for generation: base, adapter, tokenizer and the way conversations are written. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openArtifact } from "@medgpt/artifacts";
import { backendFlag, chooseBackend, type Backend } from "@medgpt/core/backends";
import { createChatForm, encodePrompt, templateFlag } from "@medgpt/core/chat";
import { adapterFlag, flag, modelFlag, resolvePrecision, tokenizerFlag, topic, torchDtype } from "@medgpt/core/config";
import { generate, readGenerationConfig, streamTokens, type GenerationConfig } from "@medgpt/core/generation";
import { checkTokenizer, loadCausalLm, otherBase, type CausalLm } from "@medgpt/core/models";
import { loadChatTemplate, loadTokenizer, type ChatMessage, type Tokenizer } from "@medgpt/core/tokenizer";
import { z } from "zod";
import { generationOf, type GenerationFlags } from "./generation-flags.js";

export const modelFlags = topic("Model", {
  model_name_or_path: modelFlag("The folder of the model."),
  adapter: adapterFlag("The folder of an adapter, which is run beside the model, unmerged."),
  tokenizer_name_or_path: tokenizerFlag(
    "The folder of the tokenizer; by default the adapter's where it has one, else the model's.",
  ),
  template_name: templateFlag,
  system_prompt: flag(z.string().nullable(), {
    default: null,
    help: "What the model is told before the conversation.",
  }),
  torch_dtype: flag(torchDtype, {
    default: "auto",
    help: "Compute in float32, or in bfloat16 where the backend has it (every other value).",
  }),
  backend: backendFlag,
});

type ModelConfig = z.output<z.ZodObject<typeof modelFlags>>;

export interface TextModel {
  readonly model: CausalLm;
  readonly tokenizer: Tokenizer;
  readonly backend: Backend;
  /** How answers are generated. */
  readonly generation: GenerationConfig;
  /** The ids up to where an answer begins; undefined where the model has no form of conversation. */
  readonly encodeChat: ((messages: readonly ChatMessage[]) => Int32Array) | undefined;
  close(): Promise<void>;
}

type Say = (text: string, level?: "info" | "warn") => void;

/** Opens what the flags name, and says what of it is not acted on. */
export async function openTextModel(config: ModelConfig & GenerationFlags, say: Say): Promise<TextModel> {
  const warn = (text: string): void => say(text, "warn");
  const base = await openArtifact(config.model_name_or_path, "causal-lm");
  const adapter = config.adapter === null ? undefined : await openArtifact(config.adapter, "adapter");
  const other = adapter && otherBase(adapter, base);
  if (other !== undefined) warn(`${config.adapter}: ${other}`);
  const own = adapter !== undefined && existsSync(join(adapter.dir, "tokenizer.json")) ? adapter.dir : base.dir;
  const tokenizer = await loadTokenizer(config.tokenizer_name_or_path ?? own, { warn });
  // An adapter without a tokenizer may still have learnt another form than its base.
  const over = config.tokenizer_name_or_path === null ? adapter?.dir : undefined;
  const form = createChatForm(tokenizer, config.template_name, await loadChatTemplate(tokenizer.dir, over));
  const ends = { stopIds: [tokenizer.eosId ?? [], form?.stopIds ?? []].flat(), stopStrings: form?.stopStrings ?? [] };
  const written = await readGenerationConfig(base.dir, warn);
  const generation = generationOf(config, { dir: base.dir, written, ...ends }, say);
  const { backend, reason } = await chooseBackend({ backend: config.backend });
  try {
    say(`backend: ${backend.name} (${backend.description}): ${reason}`);
    const half = config.torch_dtype !== "float32" && backend.dtypes.includes("bf16");
    const { precision } = resolvePrecision({ fp16: false, bf16: half, torch_dtype: null }, backend.dtypes);
    const compute = precision === "bf16" ? "bf16" : "f32";
    const model = await loadCausalLm(base.dir, { backend, compute, adapter: adapter?.dir, warn });
    checkTokenizer(tokenizer, model);
    const encodeChat = form && ((messages: readonly ChatMessage[]) => encodePrompt(tokenizer, form, messages));
    return { model, tokenizer, backend, generation, encodeChat, close: () => backend.dispose() };
  } catch (error) {
    await backend.dispose();
    throw error;
  }
}

/**
 * The tokens of an answer as they come, or together where beams are searched.
 * @param name what errors call the prompt
 */
export async function* answerTokens(
  { model, tokenizer, generation }: TextModel,
  ids: Int32Array,
  { name, seed, signal }: { name: string; seed: number; signal: AbortSignal | undefined },
): AsyncGenerator<number> {
  const config = { ...generation, seed };
  const options = { names: [name], tokenizer, signal };
  if (config.num_beams === 1) {
    for await (const { id } of streamTokens(model, [ids], config, options)) yield id;
    return;
  }
  const [[best]] = (await generate(model, [ids], config, options)) as [[{ ids: Int32Array }]];
  yield* best.ids;
}
