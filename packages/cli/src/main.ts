/** The medgpt command: finds the stage that the first argument names and hands it the others. */
import { readFileSync } from "node:fs";

import { describeFailure, nearestName, runCommand, type CommandIo } from "@medgpt/core/config";

import { COMMANDS, type CommandEntry } from "./commands.js";

/** Runs medgpt with the arguments after the program's name and returns the exit code. */
export async function main(
  argv: readonly string[],
  io: CommandIo = process,
  commands: readonly CommandEntry[] = COMMANDS,
): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    io.stdout.write(overview(commands));
    return 0;
  }
  if (name === "--version") {
    io.stdout.write(`${version()}\n`);
    return 0;
  }
  const entry = commands.find((command) => command.name === name);
  if (entry === undefined) {
    const nearest = nearestName(
      name,
      commands.map((command) => command.name),
    );
    const hint = nearest === undefined ? "medgpt --help lists the commands" : `did you mean medgpt ${nearest}?`;
    io.stderr.write(`error: unknown command ${JSON.stringify(name)}; ${hint}\n`);
    return 2;
  }
  try {
    return await runCommand(await entry.load(), rest, io);
  } catch (error) {
    return describeFailure(error, io);
  }
}

function overview(commands: readonly CommandEntry[]): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  const lines = commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`);
  return `Train domain language models.

Usage: medgpt <command> [flags]
       medgpt <command> --help
       medgpt --version

${lines.join("\n")}
`;
}

function version(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
