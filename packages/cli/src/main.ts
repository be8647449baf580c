/** The medgpt command: finds the stage that the first argument names and hands it the others. */
import { readPackage, runGroup, type CommandEntry, type CommandIo } from "@medgpt/core/config";

import { COMMANDS } from "./commands.js";

/** Runs medgpt with the arguments after the program's name and returns the exit code. */
export async function main(
  argv: readonly string[],
  io: CommandIo = process,
  commands: readonly CommandEntry[] = COMMANDS,
): Promise<number> {
  if (argv[0] === "--version") {
    io.stdout.write(`${readPackage(new URL("../package.json", import.meta.url)).version}\n`);
    return 0;
  }
  return runGroup({ name: "", summary: "Train domain language models.", commands }, argv, io, "medgpt");
}
