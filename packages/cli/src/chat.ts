import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { InputError } from "@medgpt/artifacts";
import { commandFlags, type Command } from "@medgpt/core/config";
import { TextDecoderStreamer, type ChatMessage } from "@medgpt/core/tokenizer";
import type { RunContext } from "@medgpt/core/run";
import { z } from "zod";
import { generationFlags } from "./generation-flags.js";
import { repeatsItself } from "./repeats-itself.js";
import { answerTokens, openTextModel, textModelFlags, type TextModel } from "./text-model.js";

export const schema = z.strictObject({ ...textModelFlags, ...generationFlags, ...commandFlags });

/** `medgpt chat` */
export const command: Command<typeof schema> = {
  name: "chat",
  summary: "Talk with a model in the terminal.",
  config: schema,
  run: (config, context) => talk(config, context, process.stdin, process.stdout),
};

const HELP = `/clear         forget the conversation
/system TEXT   tell the model something before the conversation, and forget it
/retry         answer the last question again
/save FILE     write the conversation as {"messages": […]}
/exit          leave (Ctrl-D too); Ctrl-C stops an answer
`;

const REMEDY = "start again with --repetition_penalty 1.1 or --temperature 0.7 if that happens often";

/** Reads questions and commands a line at a time and writes answers as they come. */
export async function talk(
  config: z.output<typeof schema>,
  context: RunContext,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): Promise<void> {
  const { signal } = context;
  const text = await openTextModel(config, context);
  const { tokenizer, encodeChat } = text;
  const terminal = createInterface({ input, output, prompt: "> " });
  let answering: AbortController | undefined;
  let closed = false;
  terminal.on("close", () => (closed = true));
  const ask = (): void => {
    if (closed) return;
    output.write("\n");
    terminal.prompt();
  };
  const stop = (): void => {
    if (answering !== undefined) answering.abort();
    else {
      output.write("\n/exit or Ctrl-D leaves\n");
      ask();
    }
  };
  // Ctrl-C where the terminal does not tell of it, and a request to end.
  const leave = (): void => {
    answering?.abort();
    terminal.close();
  };
  terminal.on("SIGINT", stop);
  signal?.addEventListener("abort", leave);
  try {
    if (encodeChat === undefined)
      throw new InputError("the tokenizer has no chat template; give --template_name", { place: tokenizer.dir });
    let system = config.system_prompt;
    let messages: ChatMessage[] = [];
    let seed = config.seed;

    const answer = async (): Promise<void> => {
      answering = new AbortController();
      const before = system === null ? [] : [{ role: "system", content: system }];
      const ids = encodeChat([...before, ...messages]);
      const { signal } = answering;
      const writing = writeAnswer(text, ids, { seed: seed++, signal }, output);
      messages.push({ role: "assistant", content: await writing.finally(() => (answering = undefined)) });
    };

    const commands: Readonly<Record<string, (rest: string) => void | Promise<void>>> = {
      help: () => void output.write(HELP),
      clear: () => void (messages = []),
      system: (rest) => {
        system = rest === "" ? null : rest;
        messages = [];
      },
      retry: async () => {
        if (messages.at(-1)?.role === "assistant") messages.pop();
        if (messages.length > 0) await answer();
      },
      save: async (rest) => {
        if (rest === "") throw new InputError("/save needs the name of a file");
        const all = [...(system === null ? [] : [{ role: "system", content: system }]), ...messages];
        await writeFile(rest, JSON.stringify({ messages: all }) + "\n");
      },
    };

    const adapter = config.adapter === null ? "" : ` with the adapter ${config.adapter}`;
    output.write(
      `Talking with ${config.model_name_or_path}${adapter}. /help lists the commands, /exit or Ctrl-D leaves.\n`,
    );
    signal?.throwIfAborted();
    ask();
    for await (const line of terminal) {
      const [, name, rest = ""] = /^\/(\w+)\s*(.*)$/.exec(line) ?? [];
      if (name === "exit") break;
      const run = name === undefined ? undefined : commands[name];
      if (name !== undefined && run === undefined) output.write(`there is no command /${name}\n${HELP}`);
      try {
        if (run !== undefined) await run(rest.trim());
        else if (name === undefined && line.trim() !== "") {
          // A question that could not be answered is no part of the talk.
          if (messages.at(-1)?.role === "user") messages.pop();
          messages.push({ role: "user", content: line });
          await answer();
        }
      } catch (error) {
        // A conversation that has grown too long, a file that cannot be written: the talk goes on.
        output.write(`${(error as Error).message}\n`);
      }
      ask();
    }
  } finally {
    signal?.removeEventListener("abort", leave);
    terminal.close();
    await text.close();
  }
}

/**
 * Writes an answer as it comes, up to where it ends, is stopped or repeats itself.
 * @returns the answer
 */
async function writeAnswer(
  text: TextModel,
  ids: Int32Array,
  { seed, signal }: { readonly seed: number; readonly signal: AbortSignal },
  output: NodeJS.WritableStream,
): Promise<string> {
  const streamer = new TextDecoderStreamer(text.tokenizer);
  const tokens: number[] = [];
  let [said, stopped] = ["", ""];
  const write = (part: string): void => {
    said += part;
    output.write(part);
  };
  try {
    for await (const id of answerTokens(text, ids, { name: "this conversation", seed, signal })) {
      write(streamer.push(id));
      tokens.push(id);
      if (!repeatsItself(tokens)) continue;
      stopped = ` [stopped: the answer repeats itself; ${REMEDY}]`;
      break;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    stopped = " [stopped]";
  }
  write(streamer.end());
  output.write(`${stopped}\n`);
  return said;
}
