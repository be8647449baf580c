import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { expect, it } from "vitest";
import { isLock, lockFolder, refuseLocked } from "./lock.js";
import { prepareOutputDir } from "./output-dir.js";

const newDir = () => mkdtempSync(join(tmpdir(), "medgpt-lock-"));

/** The name of this process's lock, with other parts. */
async function lockName(
  change: (parts: { pid: string; start: string; container: string; host: string }) => object,
): Promise<string> {
  const dir = newDir();
  await lockFolder(dir);
  const [, pid = "", start = "", container = "", host = ""] = /^\.run-(\d+)-(\d+)-(\d+)-(.+)$/.exec(
    readdirSync(dir)[0]!,
  )!;
  const parts = { pid, start, container, host };
  Object.assign(parts, change({ ...parts }));
  return `.run-${parts.pid}-${parts.start}-${parts.container}-${parts.host}`;
}

it("lets one run into a folder at a time, and the next one when it has ended", async () => {
  const dir = newDir();
  const unlock = await lockFolder(dir);
  const since = String.raw`since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
  const message = new RegExp(
    `^${dir}: --output_dir: another run is writing into this folder \\(process ${process.pid} of ${hostname()}, ${since}\\); wait for it or stop it, or give another folder$`,
  );
  await expect(refuseLocked(dir)).rejects.toThrow(message);
  await expect(refuseLocked(dir)).rejects.toBeInstanceOf(InputError);
  const link = `${dir}-link`;
  symlinkSync(dir, link);
  for (const name of [dir, link])
    await expect(lockFolder(name)).rejects.toThrow(
      `${name}: --output_dir: another run of this process is writing into this folder; give another folder`,
    );
  expect(readdirSync(dir)).toHaveLength(1);
  await unlock();
  expect(readdirSync(dir)).toEqual([]);
  await (
    await lockFolder(dir)
  )();
});

it("lets no two in that start at once", async () => {
  const dir = newDir();
  const tries = await Promise.allSettled(Array.from({ length: 5 }, () => lockFolder(dir)));
  expect(tries.map(({ status }) => status).sort()).toEqual([
    "fulfilled",
    ...Array.from({ length: 4 }, () => "rejected"),
  ]);
});

it("sees another process while it lives, and no longer when it is killed", async () => {
  const dir = newDir();
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000); console.log('up')"]);
  await once(child.stdout, "data");
  const start = process.platform === "linux" ? await startOf(child.pid!) : "0";
  writeFileSync(join(dir, await lockName(() => ({ pid: child.pid, start }))), "");
  await expect(refuseLocked(dir)).rejects.toThrow(`another run is writing into this folder (process ${child.pid} of`);
  child.kill("SIGKILL");
  await once(child, "exit");
  await refuseLocked(dir);
  const unlock = await prepareOutputDir(dir);
  expect(readdirSync(dir).filter((name) => name.startsWith(`.run-${child.pid}-`))).toEqual([]);
  expect(readdirSync(dir)).toHaveLength(1);
  await unlock();
});

it.skipIf(process.platform !== "linux")(
  "is not deceived by a new process that has the number of a dead one",
  async () => {
    const dir = newDir();
    writeFileSync(join(dir, await lockName(() => ({ pid: process.ppid, start: "1" }))), "");
    await refuseLocked(dir);
    writeFileSync(join(dir, await lockName(({ start }) => ({ start: Number(start) - 1 }))), "");
    await refuseLocked(dir);
  },
);

it.each([
  ["host", { host: "other-host.example" }, "of other-host.example, since"],
  ["container", { container: "4026539999" }, `of ${hostname()}, since`],
])("cannot tell whether a run in another %s lives, and says which file to remove", async (_, change, who) => {
  const dir = newDir();
  const name = await lockName(() => change);
  expect(isLock(name)).toBe(true);
  writeFileSync(join(dir, name), "");
  const failure = await lockFolder(dir).catch((error: unknown) => error);
  expect(String(failure)).toContain(
    "a run on another machine or in another container is writing into this folder, or was killed there",
  );
  expect(String(failure)).toContain(who);
  expect(String(failure)).toContain(`if it no longer runs, remove ${join(dir, name)}, else give another folder`);
  expect(readdirSync(dir)).toEqual([name]);
});

async function startOf(pid: number): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  return (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /s, "").split(" ")[19]!;
}
