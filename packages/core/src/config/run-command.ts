/**
 * Runs one command from the command line to its exit code: flags, reporting, Ctrl-C and errors. Exit codes: 0 done;
 * 2 the user's input or machine does not allow it (one line on standard error); 130 interrupted; 1 a fault of ours, or
 * the answer of a command that was asked a question is no.
 */
import { InputError, MedgptError } from "@medgpt/artifacts";
import type { z } from "zod";

import { createReporter, type Reporter, type TextStream } from "../run/report.js";
import type { RunContext } from "../run/run-context.js";
import { asksForHelp, parseFlags } from "./flags.js";
import { fieldsOf, shownName } from "./schema.js";
import { helpText } from "./table.js";

/** What a stage offers to a command line. */
export interface Command<S extends z.ZodObject = z.ZodObject> {
  /** What follows "medgpt" on a command line: "pretrain", or "data convert". */
  readonly name: string;
  /** One sentence for the list of commands. */
  readonly summary: string;
  readonly config: S;
  /** The folder of its presets, for `--config medgpt:NAME`. */
  readonly presets?: URL;
  /** Whether a run that is interrupted saves the last step that it completed. */
  readonly savesOnInterrupt?: boolean;
  /**
   * `given` names the fields that the user set, as opposed to defaults. Rejects with AbortError when interrupted; resolves
   * with false where the answer is no.
   */
  run(config: z.output<S>, context: RunContext, extra: { given: ReadonlySet<string> }): Promise<unknown>;
}

interface OutputStream extends TextStream {
  on(event: "error", listener: (error: Error & { code?: string | undefined }) => void): unknown;
}

/** The parts of `process` that a command uses. */
export interface CommandIo {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  on(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
  off(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
  exit(code: number): void;
}

/** Runs `command` with the arguments after its name and returns the exit code. `called` is how the user calls it. */
export async function runCommand<S extends z.ZodObject>(
  command: Command<S>,
  argv: readonly string[],
  io: CommandIo = process,
  called = `medgpt ${command.name}`,
): Promise<number> {
  for (const stream of [io.stdout, io.stderr]) stream.on("error", ignoreBrokenPipe);
  const help = asksForHelp(argv);
  if (help !== undefined) {
    const words = fieldsOf(command.config).filter((field) => field.positional);
    const usage = [called, ...words.map(shownName), "[flags]"].join(" ");
    const { summary } = command;
    io.stdout.write(helpText(command.config, { usage, summary, all: help === "all", columns: io.stdout.columns }));
    return 0;
  }

  const controller = new AbortController();
  let reporter: Reporter | undefined;
  const interrupt = (): void => {
    if (controller.signal.aborted) {
      reporter?.close();
      io.exit(130);
      return;
    }
    const text = command.savesOnInterrupt
      ? "stopping: the last completed step is being saved (press Ctrl-C again to leave at once, unsaved)"
      : "stopping (press Ctrl-C again to leave at once)";
    reporter?.report({ type: "message", level: "warn", text });
    controller.abort();
  };
  try {
    const notes = checkProcesses(io.env);
    const { config, given, lines } = parseFlags(command.config, argv, { presets: command.presets });
    reporter = createReporter({
      json: (config as { json?: boolean }).json === true,
      stream: io.stdout,
      errorStream: io.stderr,
    });
    for (const text of [...notes, ...lines]) reporter.report({ type: "message", level: "info", text });
    io.on("SIGINT", interrupt);
    io.on("SIGTERM", interrupt);
    const result = await command.run(config, { log: reporter.report, signal: controller.signal }, { given });
    reporter.close();
    if (controller.signal.aborted) return 130;
    return result === false ? 1 : 0;
  } catch (error) {
    reporter?.close();
    return describeFailure(error, io);
  } finally {
    io.off("SIGINT", interrupt);
    io.off("SIGTERM", interrupt);
  }
}

/** Prints a failed command's reason on standard error and returns its exit code. */
export function describeFailure(error: unknown, io: Pick<CommandIo, "stderr" | "env">): number {
  const { name, message, stack, code } = errorParts(error);
  if (name === "AbortError") return 130;
  const debug = io.env["MEDGPT_DEBUG"] !== undefined && io.env["MEDGPT_DEBUG"] !== "";
  const user = (MedgptError.isInstance(error) && error.userError) || MACHINE_ERRORS.has(code);
  io.stderr.write(`error: ${message}\n`);
  if (debug && stack !== undefined) io.stderr.write(`${stack}\n`);
  if (user) return 2;
  const stackHint = debug ? "" : " (MEDGPT_DEBUG=1 shows where it happened)";
  io.stderr.write(
    `This is a fault in medgpt${stackHint}. Please report it with the command line, the output of medgpt --version and the lines above.\n`,
  );
  return 1;
}

/** System errors that the user can mend: a full disk, a folder that may not be written. */
const MACHINE_ERRORS: ReadonlySet<string | undefined> = new Set(["ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS"]);

function errorParts(error: unknown): { name?: string; message: string; stack?: string | undefined; code?: string } {
  if (typeof error !== "object" || error === null || !("message" in error)) return { message: String(error) };
  return error as { name: string; message: string; stack?: string; code?: string };
}

/** Refuses an environment that a launcher of several processes made, and notes which of its other variables change nothing. */
function checkProcesses(env: CommandIo["env"]): string[] {
  const worldSize = env["WORLD_SIZE"] ?? "1";
  if (Number(worldSize) > 1) {
    throw new InputError("training runs in one process, using every core: start it once, without torchrun", {
      place: `WORLD_SIZE=${worldSize}`,
    });
  }
  const localRank = env["LOCAL_RANK"] ?? "0";
  if (Number(localRank) > 0) {
    throw new InputError("this is not the first process of a launch, and training runs in one", {
      place: `LOCAL_RANK=${localRank}`,
    });
  }
  const devices = env["CUDA_VISIBLE_DEVICES"];
  if (devices === undefined || devices === "") return [];
  return [`CUDA_VISIBLE_DEVICES=${devices}: changes nothing here, because no backend uses a GPU`];
}

/** Output piped into a program that has read enough (`| head`) is no failure of the run. */
function ignoreBrokenPipe(error: Error & { code?: string | undefined }): void {
  if (error.code !== "EPIPE") throw error;
}
