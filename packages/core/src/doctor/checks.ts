/** Judges a machine: what a run needs is there, or short, or missing, and what to do about it. */
import type { FolderFacts, MachineFacts } from "./facts.js";

export interface Check {
  readonly name: string;
  /** short: runs work, but slowly, or not all of them. missing: what runs need, or nobody wants to be without, is not there. */
  readonly state: "ok" | "short" | "missing";
  /** One line. */
  readonly text: string;
  /** What to do about a state that is not ok. */
  readonly advice?: string;
}

/** The oldest Node.js that the packages support, as in their "engines". */
export const OLDEST_NODE = [20, 19] as const;

/** The smallest models that are of use (some 100M parameters) train within the first; 0.5B with LoRA within the second. */
const MEMORY = { missing: 2 ** 30, short: 4 * 2 ** 30 };
/** A checkpoint of such an adapter takes some MB, one of a whole 0.5B model with its optimizer's state 6 GB. */
const DISK = { missing: 2 ** 28, short: 8 * 2 ** 30 };

/** One check for each thing that matters, the most basic first. */
export function checkMachine(facts: MachineFacts): Check[] {
  return [
    checkNode(facts),
    checkNative(facts),
    checkBackend(facts),
    checkInstructionSet(facts),
    checkThreads(facts),
    checkMemory(facts),
    checkDisk("disk here", facts.currentFolder, "start runs, or point --output_dir, where there is more"),
    checkDisk("disk cache", facts.cacheFolder, "set XDG_CACHE_HOME to a folder on another disk"),
    checkGpu(facts),
  ];
}

function checkNode({ node: { version, platform, arch } }: MachineFacts): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  const supported = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
  const text = `Node.js ${version} on ${platform} ${arch}`;
  if (supported) return { name: "node", state: "ok", text };
  const oldest = OLDEST_NODE.join(".");
  return { name: "node", state: "missing", text, advice: `install Node.js ${oldest} or newer: https://nodejs.org` };
}

function checkNative({ nativeProblem }: MachineFacts): Check {
  if (nativeProblem === undefined)
    return { name: "native", state: "ok", text: "the native library is built and loads" };
  return { name: "native", state: "missing", text: nativeProblem.reason, advice: nativeProblem.remedy };
}

function checkBackend({ backend }: MachineFacts): Check {
  const name = "backend";
  if (typeof backend === "string") {
    return {
      name,
      state: "missing",
      text: `none: ${backend}`,
      advice: "--backend js does without the native library, slower",
    };
  }
  const text = `${backend.name} (${backend.description}): ${backend.reason}`;
  if (backend.name === "native") return { name, state: "ok", text };
  return { name, state: "short", text, advice: "fine for toy models only; see native" };
}

function checkInstructionSet({ instructionSets, forcedInstructionSet: forced }: MachineFacts): Check {
  const name = "instructions";
  const best = instructionSets.at(-1);
  if (best === undefined) {
    return { name, state: "short", text: "none: kernels are JavaScript", advice: "see native" };
  }
  const has = `this CPU has ${instructionSets.join(", ")}`;
  if (forced === undefined) {
    if (best !== "portable") return { name, state: "ok", text: `${best}; ${has}` };
    const advice = "training takes several times as long as on a CPU with AVX2 or AVX-512";
    return { name, state: "short", text: `${best}; ${has}`, advice };
  }
  const text = `${forced}, as MEDGPT_ISA says; ${has}`;
  if (!instructionSets.includes(forced)) return { name, state: "missing", text, advice: "unset MEDGPT_ISA" };
  if (forced === best) return { name, state: "ok", text };
  return { name, state: "short", text, advice: `unset MEDGPT_ISA for ${best}` };
}

function checkThreads({ threads, cpus }: MachineFacts): Check {
  const text = `${threads} on ${cpus} CPU${cpus === 1 ? "" : "s"}`;
  return { name: "threads", state: "ok", text };
}

function checkMemory({ memory: { total, available, limit } }: MachineFacts): Check {
  const container = limit === undefined ? "" : `; this container may use ${size(limit)}`;
  const text = `${size(available)} available of ${size(total)}${container}`;
  const advice =
    "end other programs, or take a smaller model, --block_size and --per_device_train_batch_size 1, " +
    "with --gradient_checkpointing True" +
    (limit === undefined ? "" : "; the container's limit can be raised");
  return judged("memory", available, MEMORY, text, advice);
}

function checkDisk(name: string, { path, freeBytes, writable }: FolderFacts, advice: string): Check {
  const text = `${size(freeBytes)} free in ${path}`;
  if (!writable) return { name, state: "missing", text: `${text}, which may not be written`, advice };
  return judged(name, freeBytes, DISK, text, advice);
}

function judged(
  name: string,
  bytes: number,
  limits: { missing: number; short: number },
  text: string,
  advice: string,
): Check {
  if (bytes >= limits.short) return { name, state: "ok", text };
  return { name, state: bytes < limits.missing ? "missing" : "short", text, advice };
}

function checkGpu({ gpus }: MachineFacts): Check {
  const name = "gpu";
  if (gpus.length === 0) return { name, state: "ok", text: "none found, and none used: training runs on the CPU" };
  return { name, state: "ok", text: `${gpus.join("; ")}; not used: training runs on the CPU` };
}

/** Binary units, one decimal. */
function size(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}
