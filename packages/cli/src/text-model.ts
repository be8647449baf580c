/** A model opened for generation: base, adapter, tokenizer and the way conversations are written. */
import { deviceFlags, type Backend } from "@medgpt/core/backends";
import { createChatForm, encodePrompt, templateFlag } from "@medgpt/core/chat";
import { adapterFlag, flag, hubFlags, modelFlag, tokenizerFlag, topic, torchDtype } from "@medgpt/core/config";
import { generate, readGenerationConfig, streamTokens, type GenerationConfig } from "@medgpt/core/generation";
import { checkTokenizer, loadCausalLm, type CausalLm } from "@medgpt/core/models";
import { say, type RunContext } from "@medgpt/core/run";
import { findFolders, openBackend, openFolders } from "@medgpt/core/stage";
import { loadChatTemplate, type ChatMessage, type Tokenizer } from "@medgpt/core/tokenizer";
import { z } from "zod";
import { generationOf, type GenerationFlags } from "./generation-flags.js";
import { ropeFlags, ropeScalingOf } from "./rope-scaling.js";

export const textModelFlags = {
  ...topic("Model", {
    model_name_or_path: modelFlag("The folder of the model, or its name on the hub."),
    adapter: adapterFlag("The folder of an adapter, or its name on the hub. It is run beside the model, unmerged."),
    tokenizer_name_or_path: tokenizerFlag(
      "The folder of the tokenizer, or its name on the hub; by default the adapter's where it has one, else the model's.",
    ),
    ...hubFlags,
    template_name: templateFlag,
    system_prompt: flag(z.string().nullable(), {
      default: null,
      help: "What the model is told before the conversation.",
    }),
    torch_dtype: flag(torchDtype, {
      default: "auto",
      help: "Compute in float32, or in bfloat16 where the backend has it (every other value).",
    }),
    ...ropeFlags,
  }),
  ...deviceFlags,
};

type ModelConfig = z.output<z.ZodObject<typeof textModelFlags>>;

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

/** Opens what the flags name, and says what of it is not acted on. */
export async function openTextModel(config: ModelConfig & GenerationFlags, context: RunContext): Promise<TextModel> {
  const warn = (text: string): void => say(context, text, "warn");
  const ropeScaling = ropeScalingOf(config);
  const folders = await findFolders(config, config.adapter, context);
  const named = { name: config.adapter ?? "", bringsTokenizer: true };
  const { base, adapter, tokenizer } = await openFolders(folders, named, context);
  // An adapter without a tokenizer may still have learnt another form than its base.
  const over = config.tokenizer_name_or_path === null ? adapter?.dir : undefined;
  const form = createChatForm(tokenizer, config.template_name, await loadChatTemplate(tokenizer.dir, over));
  const ends = { stopIds: [tokenizer.eosId ?? [], form?.stopIds ?? []].flat(), stopStrings: form?.stopStrings ?? [] };
  const written = await readGenerationConfig(base.dir, warn);
  const generation = generationOf(config, { dir: base.dir, written, ...ends }, (text) => say(context, text));
  const backend = await openBackend(config, context);
  try {
    const compute = config.torch_dtype !== "float32" && backend.dtypes.includes("bf16") ? "bf16" : "f32";
    const model = await loadCausalLm(base.dir, { backend, compute, ropeScaling, adapter: adapter?.dir, warn });
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
