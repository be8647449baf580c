/** Finds the command that the first argument names, in a group that may stand in another, and hands it the others. */
import { nearestName } from "./nearest-name.js";
import { describeFailure, runCommand, type Command, type CommandIo } from "./run-command.js";

/** A command as the list of commands has it: its code is loaded when it is called for. */
export interface CommandEntry {
  /** The word that calls it. */
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command | CommandGroup>;
}

/** Commands under one name, such as `medgpt data`. */
export interface CommandGroup {
  readonly name: string;
  /** One sentence for the list of commands. */
  readonly summary: string;
  readonly commands: readonly CommandEntry[];
}

/** Runs the command of `group` that `argv` begins with and returns the exit code. `called` is how the user calls the group. */
export async function runGroup(
  group: CommandGroup,
  argv: readonly string[],
  io: CommandIo = process,
  called = `medgpt ${group.name}`,
): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    io.stdout.write(overview(group, called));
    return 0;
  }
  const entry = group.commands.find((command) => command.name === name);
  if (entry === undefined) {
    const nearest = nearestName(
      name,
      group.commands.map((command) => command.name),
    );
    const hint = nearest === undefined ? `${called} --help lists the commands` : `did you mean ${called} ${nearest}?`;
    io.stderr.write(`error: unknown command ${JSON.stringify(name)}; ${hint}\n`);
    return 2;
  }
  try {
    const loaded = await entry.load();
    return await ("commands" in loaded
      ? runGroup(loaded, rest, io, `${called} ${name}`)
      : runCommand(loaded, rest, io, `${called} ${name}`));
  } catch (error) {
    return describeFailure(error, io);
  }
}

function overview({ summary, commands }: CommandGroup, called: string): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  const lines = commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`);
  const version = called === "medgpt" ? "\n       medgpt --version" : "";
  return `${summary}

Usage: ${called} <command> [flags]
       ${called} <command> --help${version}

${lines.join("\n")}
`;
}
