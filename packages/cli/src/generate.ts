import { appendFile } from "node:fs/promises";
import { commandFlags, flag, topic, type Command } from "@medgpt/core/config";
import { generate, seedOf } from "@medgpt/core/generation";
import { TextDecoderStreamer } from "@medgpt/core/tokenizer";
import { say, type RunContext } from "@medgpt/core/run";
import { z } from "zod";
import { answerLine, continueAnswers, readPrompts, type Prompt } from "./answers-file.js";
import { generationFlags } from "./generation-flags.js";
import { answerTokens, openTextModel, textModelFlags, type TextModel } from "./text-model.js";

const schema = z
  .strictObject({
    ...textModelFlags,
    ...topic("Prompts", {
      prompt: flag(z.string().nullable(), {
        default: null,
        help: "One prompt; its answer is printed as it comes.",
        word: true,
      }),
      data_file: flag(z.string().nullable(), { default: null, help: "A UTF-8 text file with a prompt in every line." }),
      output_file: flag(z.string().nullable(), {
        default: null,
        help: 'Where answers to data_file go, as JSON lines {"Input", "Output"} in its order; one that is there is continued.',
      }),
      raw: flag(z.boolean(), { default: false, help: "Continue the prompt as it is, without a chat template." }),
      eval_batch_size: flag(z.int().min(1), {
        default: 8,
        alias: ["batch_size"],
        help: "Prompts answered at a time.",
      }),
    }),
    ...generationFlags,
    ...commandFlags,
  })
  .superRefine((config, context) => {
    if ((config.prompt === null) === (config.data_file === null))
      context.addIssue({ code: "custom", path: ["prompt"], message: "expected one of --prompt and --data_file" });
    if (config.data_file !== null && config.output_file === null)
      context.addIssue({ code: "custom", path: ["output_file"], message: "--data_file needs --output_file" });
  });

type Config = z.output<typeof schema>;

/** `medgpt generate` */
export const command: Command<typeof schema> = {
  name: "generate",
  summary: "Answer prompts with a model, with or without an adapter.",
  config: schema,
  run: runGenerate,
};

async function runGenerate(config: Config, context: RunContext): Promise<void> {
  const { signal } = context;
  const tell = (text: string, level: "info" | "warn" = "info") => say(context, text, level);
  const prompts = config.data_file === null ? [] : await readPrompts(config.data_file);
  const output = config.output_file as string;
  const done = prompts.length === 0 ? 0 : await continueAnswers(output, prompts, tell);
  if (done > 0) tell(`${output} has ${done} of ${prompts.length} answers; going on after them`);
  const text = await openTextModel(config, context);
  try {
    if (config.prompt === null) await answerFile(text, config, prompts, done, tell, signal);
    else await printAnswer(text, config, config.prompt, signal);
  } finally {
    await text.close();
  }
}

function promptIds({ tokenizer, encodeChat }: TextModel, config: Config, prompt: string): Int32Array {
  if (config.raw || encodeChat === undefined) return tokenizer.encode(prompt);
  const system = config.system_prompt === null ? [] : [{ role: "system", content: config.system_prompt }];
  return encodeChat([...system, { role: "user", content: prompt }]);
}

async function printAnswer(text: TextModel, config: Config, prompt: string, signal?: AbortSignal): Promise<void> {
  const streamer = new TextDecoderStreamer(text.tokenizer);
  const ids = promptIds(text, config, prompt);
  for await (const id of answerTokens(text, ids, { name: "--prompt", seed: config.seed, signal }))
    process.stdout.write(streamer.push(id));
  process.stdout.write(streamer.end() + "\n");
}

async function answerFile(
  text: TextModel,
  config: Config,
  prompts: readonly Prompt[],
  done: number,
  tell: (text: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { model, tokenizer, generation } = text;
  const batch = config.eval_batch_size;
  for (let from = done; from < prompts.length; from += batch) {
    const part = prompts.slice(from, from + batch);
    const ids = part.map((prompt) => promptIds(text, config, prompt.text));
    // Draws depend on the place in the file alone, not on where a run began.
    const seeded = { ...generation, seed: seedOf(config.seed, from) };
    const names = part.map(({ place }) => place);
    const answers = await generate(model, ids, seeded, { batchSize: batch, names, tokenizer, signal });
    for (const [index, prompt] of part.entries()) {
      const [answer] = answers[index] as [{ ids: Int32Array }];
      const output = tokenizer.decode(answer.ids, { skipSpecialTokens: true }).trim();
      // A line at a time, so that a run that is killed leaves whole ones.
      await appendFile(config.output_file as string, answerLine(prompt.text, output));
    }
    tell(`${Math.min(from + batch, prompts.length)} of ${prompts.length} prompts answered`);
  }
}
