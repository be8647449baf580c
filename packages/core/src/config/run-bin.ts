import { readPackage } from "./read-package.js";
import { runCommand, type Command, type CommandIo } from "./run-command.js";
import { runGroup, type CommandGroup } from "./run-group.js";

/**
 * Runs what a package's own program is for, under the program's name, and returns the exit code; --version prints the package's.
 * @param packageJson the package.json whose `bin` names the program
 */
export async function runBin(
  command: Command | CommandGroup,
  packageJson: URL,
  argv: readonly string[] = process.argv.slice(2),
  io: CommandIo = process,
): Promise<number> {
  const { bin, version } = readPackage(packageJson);
  if (argv[0] === "--version") {
    io.stdout.write(`${version}\n`);
    return 0;
  }
  const [program] = Object.keys(bin);
  return "commands" in command ? runGroup(command, argv, io, program) : runCommand(command, argv, io, program);
}
