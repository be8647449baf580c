import { EventEmitter } from "node:events";

import { runGroup, type CommandIo } from "@medgpt/core/config";

import { command } from "../command.js";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What `medgpt data …` does with these arguments. */
export async function medgptData(...argv: string[]): Promise<Outcome> {
  const written: [string[], string[]] = [[], []];
  const [stdout, stderr] = written.map((texts) =>
    Object.assign(new EventEmitter(), { write: (text: string) => texts.push(text) }),
  );
  const io = Object.assign(new EventEmitter(), { stdout, stderr, env: {}, exit: () => {} }) as unknown as CommandIo;
  const code = await runGroup(command, argv, io);
  return { code, stdout: written[0].join(""), stderr: written[1].join("") };
}
