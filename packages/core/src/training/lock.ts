/**
 * Keeps two runs out of one folder. A run puts an empty file there whose name says which process it is, and then looks for
 * others: whoever comes second sees the first, and at worst two that start in the same moment both give way. The names of
 * dead processes mean nothing, so a killed run locks nobody out. (Lock files that a process keeps fresh would not do: a
 * step may hold up timers for longer than any time after which they count as left behind.)
 */
import { readFileSync, readlinkSync } from "node:fs";
import { open, readdir, realpath, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { isRunning } from "../run/is-running.js";

/** `.run-<pid>-<start>-<machine>`. */
const NAME = /^\.run-(\d+)-(\d+)-(.+)$/;

/** Locks of this process, by path. */
const held = new Set<string>();

/** Whether a name in a folder is that of a lock, of a living process or a dead one. */
export function isLock(name: string): boolean {
  return NAME.test(name);
}

/**
 * Locks a folder, which must be there.
 * @returns a function that unlocks it and never fails
 * @throws InputError where another run has it
 */
export async function lockFolder(dir: string): Promise<() => Promise<void>> {
  const path = join(await realpath(dir), `.run-${process.pid}-${startOf(process.pid)}-${machine()}`);
  if (held.has(path))
    throw new InputError("--output_dir: another run of this process is writing into this folder; give another folder", {
      place: dir,
    });
  held.add(path);
  const unlock = async (): Promise<void> => {
    held.delete(path);
    await rm(path, { force: true }).catch(() => undefined); // what is left is the name of a dead process
  };
  try {
    await (await open(path, "w")).close();
    await refuseLocked(dir, path);
  } catch (error) {
    await unlock();
    throw error;
  }
  return unlock;
}

/**
 * @param own a lock that does not count
 * @throws InputError where a run has the folder, or one of another machine may have it
 */
export async function refuseLocked(dir: string, own?: string): Promise<void> {
  const real = await realpath(dir).catch(() => dir);
  for (const name of await readdir(real).catch(() => [])) {
    const [, pid, start, where] = NAME.exec(name) ?? [];
    const path = join(real, name);
    if (pid === undefined || path === own) continue;
    const here = where === machine();
    if (here && !lives(path, Number(pid), Number(start))) continue;
    const info = await stat(path).catch(() => undefined);
    if (info === undefined) continue; // it ended in this moment
    const who = `process ${pid} of ${where!.replace(/^\d+-/, "")}, since ${info.mtime.toISOString().slice(0, 19)}Z`;
    const message = here
      ? `--output_dir: another run is writing into this folder (${who}); wait for it or stop it, or give another folder`
      : `--output_dir: a run on another machine or in another container is writing into this folder, or was killed there (${who}); if it no longer runs, remove ${path}, else give another folder`;
    throw new InputError(message, { place: dir });
  }
}

function lives(path: string, pid: number, start: number): boolean {
  if (pid === process.pid && start === startOf(pid)) return held.has(path);
  return isRunning(pid) && start === startOf(pid);
}

/** When a process started, in ticks since the machine did: a number is given to a new process sooner or later. 0 where that is not known. */
function startOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Fields from the third on; the second, a name in parentheses, may hold blanks.
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return 0;
  }
}

/** Where numbers of processes mean the same processes: the host, and there the container. */
function machine(): string {
  let container = "0";
  try {
    container = /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? container;
  } catch {
    // No such thing on this system.
  }
  return `${container}-${hostname()}`;
}
