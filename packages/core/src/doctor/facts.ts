/** What this machine offers, looked up without judging it; checks.ts does that. */
import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, statfsSync } from "node:fs";
import { cpus, freemem, homedir, totalmem } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { InputError } from "@medgpt/artifacts";
import { chooseBackend } from "../backends/choose.js";
import { loadNative, type NativeProblem } from "../run/native.js";

/** A folder and the disk that it is on, or would be on: the folder itself may not exist yet. */
export interface FolderFacts {
  readonly path: string;
  /** What an unprivileged user may still write. */
  readonly freeBytes: number;
  readonly writable: boolean;
}

/** All of it plain values, so that tests can make up a machine, and JSON shows it as it is. */
export interface MachineFacts {
  readonly node: { readonly version: string; readonly platform: string; readonly arch: string };
  /** undefined where the native library loads. */
  readonly nativeProblem: NativeProblem | undefined;
  /** The one that runs choose by themselves, or in one line why there is none. */
  readonly backend: { readonly name: string; readonly description: string; readonly reason: string } | string;
  /** Instruction sets with native kernels that the CPU has, the best last; none without the native library. */
  readonly instructionSets: readonly string[];
  /** MEDGPT_ISA, where it is set. */
  readonly forcedInstructionSet: string | undefined;
  /** How many of the CPUs a run uses. */
  readonly threads: number;
  readonly cpus: number;
  /** Bytes. `limit` is what a container allows this process, where that is less than the machine has. */
  readonly memory: { readonly total: number; readonly available: number; readonly limit: number | undefined };
  readonly currentFolder: FolderFacts;
  /** Where tokenised text and downloads go by default. */
  readonly cacheFolder: FolderFacts;
  /** Names of the NVIDIA GPUs, as far as their driver tells. */
  readonly gpus: readonly string[];
}

/** Looks at the machine and at what a run started here would use. */
export async function machineFacts(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<MachineFacts> {
  const { backend, nativeProblem, threads } = await backendFacts();
  const loaded = loadNative();
  return {
    node: { version: process.versions.node, platform: process.platform, arch: process.arch },
    nativeProblem: "reason" in loaded ? loaded : nativeProblem,
    backend,
    // A library older than this package may lack the function; the backend's own check names that.
    instructionSets:
      "reason" in loaded ? [] : ((loaded.native.instructionSets as (() => string[]) | undefined)?.() ?? []),
    forcedInstructionSet: env["MEDGPT_ISA"] || undefined,
    threads,
    cpus: cpus().length,
    memory: memoryFacts(),
    currentFolder: folderFacts(process.cwd()),
    cacheFolder: folderFacts(env["XDG_CACHE_HOME"] || join(homedir(), ".cache")),
    gpus: await nvidiaGpus(),
  };
}

async function backendFacts(): Promise<Pick<MachineFacts, "backend" | "nativeProblem" | "threads">> {
  try {
    const { backend, reason } = await chooseBackend();
    const { name, description } = backend;
    await backend.dispose();
    const threads = Number(/(\d+) threads?$/.exec(description)?.[1] ?? 1);
    return { backend: { name, description, reason }, nativeProblem: undefined, threads };
  } catch (error) {
    // The js backend is always there, so it was the native one that failed: by its environment, or by itself.
    const { message } = error as Error;
    const nativeProblem =
      error instanceof InputError ? undefined : { reason: message, remedy: "--backend js does without it, slower" };
    return { backend: message, nativeProblem, threads: 1 };
  }
}

function memoryFacts(): MachineFacts["memory"] {
  const total = totalmem();
  // Both know of containers; Node.js releases that are too old for us may lack them.
  const limit = (process.constrainedMemory as (() => number) | undefined)?.() ?? 0;
  const available = (process.availableMemory as (() => number) | undefined)?.() ?? freemem();
  return { total, available, limit: limit > 0 && limit < total ? limit : undefined };
}

/** The nearest folder above that exists stands for one that does not. */
function folderFacts(path: string): FolderFacts {
  let folder = resolve(path);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  let writable = true;
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    writable = false;
  }
  return { path, freeBytes: bavail * bsize, writable };
}

/** By nvidia-smi, else by the files of the kernel's driver. */
async function nvidiaGpus(): Promise<string[]> {
  const lines = (text: string): string[] => text.split("\n").filter((line) => line.trim() !== "");
  try {
    const query = ["--query-gpu=name,driver_version", "--format=csv,noheader"];
    const { stdout } = await promisify(execFile)("nvidia-smi", query, { timeout: 5000 });
    return lines(stdout).map((line) => line.replace(/, */, ", driver "));
  } catch {
    const version = "/proc/driver/nvidia/version";
    return existsSync(version) ? [lines(readFileSync(version, "utf8"))[0] ?? "NVIDIA driver"] : [];
  }
}
