import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunEvent } from "../run/run-context.js";
import { findSources, type Sources } from "./find-sources.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "medgpt-sources-"));
  await mkdir(join(root, "data"));
  await writeFile(join(root, "data/a.txt"), "one\n");
  await writeFile(join(root, "data/b.txt"), "two\n");
  await writeFile(join(root, "data/c.txt"), "three\n");
});
afterEach(() => rm(root, { recursive: true }));

async function find(validation: string | null, more = {}): Promise<{ sources: Sources; said: string[] }> {
  const said: string[] = [];
  const log = (event: RunEvent): void => void (event.type === "message" && said.push(`${event.level} ${event.text}`));
  const config = {
    train_file_dir: join(root, "data"),
    validation_file_dir: validation && join(root, validation),
    dataset_name: null,
    do_train: true,
    do_eval: true,
    eval_strategy: "no" as const,
    ...more,
  };
  return { sources: await findSources(config, undefined, { log }), said };
}

describe("the files to evaluate on", () => {
  it("are told from those to train on by their name", async () => {
    await mkdir(join(root, "held"));
    await writeFile(join(root, "held/d.txt"), "four\n");
    const { sources, said } = await find("held");
    expect(sources.train?.name).toBe(`${join(root, "data")}, train`);
    expect(sources.validation?.name).toBe(`${join(root, "held")}, validation`);
    expect(said).toEqual([]);
    expect((await find(null)).sources.train?.name).toBe(join(root, "data"));
  });

  it("are said to be trained on where they are the same folder", async () => {
    const { said } = await find("data");
    expect(said).toEqual([
      expect.stringMatching(
        /^warn the files to evaluate on are files that are trained on \(.*a\.txt, …\): eval_loss will say how well they are remembered, .*; leave --validation_file_dir out/,
      ),
    ]);
  });

  it.each<[string, () => Promise<void>, RegExp]>([
    ["a link to the folder", () => symlink("data", join(root, "held")), /^warn the files to evaluate on are/],
    ["a copy", () => cp(join(root, "data"), join(root, "held"), { recursive: true }), /^warn the files to/],
    [
      "a copy of one file under another name, of the size of others",
      async () => {
        await mkdir(join(root, "held"));
        await cp(join(root, "data/b.txt"), join(root, "held/x.txt"));
        await writeFile(join(root, "held/y.txt"), "six\n");
      },
      /^warn 1 of the files to evaluate on are files that are trained on \(.*x\.txt\): /,
    ],
  ])("are said to be trained on where they are %s", async (_, make, message) => {
    await make();
    expect((await find("held")).said).toEqual([expect.stringMatching(message)]);
  });

  it.each([{ do_train: false }, { do_eval: false }])("may be the same where it does not matter: %j", async (more) => {
    expect((await find("data", more)).said).toEqual([]);
  });
});
