import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { MANIFEST_FILE, syncFolder } from "@medgpt/artifacts";
import { isJsonObject, readJsonObject } from "../json/read-json-object.js";
import { resultFiles } from "./results.js";

/**
 * The files of a run's result in its folder: those that the manifest lists, the metrics and the manifest. Where there is no
 * manifest, those that `successor`, the folder of what takes their place, has too.
 */
export async function filesOfResult(dir: string, successor: string): Promise<string[]> {
  const there = await readdir(dir);
  const listed = (await manifestFiles(dir)) ?? (await readdir(successor)).filter((name) => there.includes(name));
  return [...new Set([...listed, ...[...resultFiles, MANIFEST_FILE].filter((name) => there.includes(name))])];
}

/** Removes them, the manifest last, so that what is left at any moment is refused for want of a file that it lists. */
export async function removeResult(dir: string, successor: string): Promise<void> {
  for (const name of await filesOfResult(dir, successor))
    if (name !== MANIFEST_FILE) await rm(join(dir, name), { force: true });
  await syncFolder(dir);
  await rm(join(dir, MANIFEST_FILE), { force: true });
  await syncFolder(dir);
}

/** undefined where there is no manifest, or none that lists files. A name that leads out of the folder is left out. */
async function manifestFiles(dir: string): Promise<string[] | undefined> {
  const manifest = await readJsonObject(join(dir, MANIFEST_FILE)).catch(() => undefined);
  const files = manifest?.["files"];
  return isJsonObject(files) ? Object.keys(files).filter((name) => !/\\|(^|\/)(\.\.?)?(\/|$)/.test(name)) : undefined;
}
