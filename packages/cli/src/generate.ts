import { createReadStream, existsSync } from "node:fs";
import { appendFile, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { InputError } from "@medgpt/artifacts";
import { commandFlags, flag, topic, type Command } from "@medgpt/core/config";
import { generate, streamTokens } from "@medgpt/core/generation";
import { TextDecoderStreamer } from "@medgpt/core/tokenizer";
import type { RunContext } from "@medgpt/core/training";
import { z } from "zod";
import { generationFlags, generationOf, modelFlags, openTextModel, type TextModel } from "./text-model.js";

const schema = z
  .strictObject({
    ...modelFlags,
    ...topic("Prompts", {
      prompt: flag(z.string().nullable(), { default: null, help: "One prompt; its answer is printed as it comes." }),
      data_file: flag(z.string().nullable(), { default: null, help: "A text file with a prompt in every line." }),
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

async function runGenerate(config: Config, { log, signal }: RunContext): Promise<void> {
  const say = (text: string, level: "info" | "warn" = "info") => log({ type: "message", level, text });
  const text = await openTextModel(config, say);
  try {
    if (config.prompt === null) await answerFile(text, config, say, signal);
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
  const { model, tokenizer } = text;
  const generation = generationOf(config, text);
  const ids = promptIds(text, config, prompt);
  if ((generation.num_beams ?? 1) > 1) {
    const [[best]] = (await generate(model, [ids], generation, { tokenizer, signal })) as [[{ ids: Int32Array }]];
    process.stdout.write(tokenizer.decode(best.ids, { skipSpecialTokens: true }) + "\n");
    return;
  }
  const streamer = new TextDecoderStreamer(tokenizer);
  for await (const { id } of streamTokens(model, [ids], generation, { tokenizer, signal }))
    process.stdout.write(streamer.push(id));
  process.stdout.write(streamer.end() + "\n");
}

async function answerFile(
  text: TextModel,
  config: Config,
  say: (text: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const [input, output] = [config.data_file as string, config.output_file as string];
  const prompts: string[] = [];
  for await (const line of createInterface({ input: createReadStream(input), crlfDelay: Infinity }))
    if (line.trim() !== "") prompts.push(line);
  const done = existsSync(output) ? await answeredAlready(output, prompts) : 0;
  if (done > 0) say(`${output} has ${done} of ${prompts.length} answers; going on after them`);
  const generation = generationOf(config, text);
  const { tokenizer } = text;
  const batch = config.eval_batch_size;
  for (let from = done; from < prompts.length; from += batch) {
    const part = prompts.slice(from, from + batch);
    const ids = part.map((prompt) => promptIds(text, config, prompt));
    const answers = await generate(text.model, ids, generation, { batchSize: batch, tokenizer, signal });
    const lines = part.map((prompt, index) => {
      const [answer] = answers[index] as [{ ids: Int32Array }];
      const Output = tokenizer.decode(answer.ids, { skipSpecialTokens: true }).trim();
      return JSON.stringify({ Input: prompt, Output }) + "\n";
    });
    await appendFile(output, lines.join(""));
    say(`${Math.min(from + batch, prompts.length)} of ${prompts.length} prompts answered`);
  }
}

/** How many of the prompts, from the first on, a file answers already. */
async function answeredAlready(output: string, prompts: readonly string[]): Promise<number> {
  const lines = (await readFile(output, "utf8")).split("\n").slice(0, -1);
  lines.forEach((line, index) => {
    let input: unknown;
    try {
      input = (JSON.parse(line) as { Input?: unknown } | null)?.Input;
    } catch {
      // Reported below, as any other line that is not an answer.
    }
    if (input !== prompts[index])
      throw new InputError("this is not the answer to the prompt of that line; give another --output_file", {
        place: `${output}:${index + 1}`,
      });
  });
  return lines.length;
}
