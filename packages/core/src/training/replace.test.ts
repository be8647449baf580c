/** A process that dies at each step of taking another run's place: what is left is the old run, or the new one. */
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ArtifactError, openArtifact } from "@medgpt/artifacts";
import { tinyAdapter, tinyCausalLm } from "@medgpt/artifacts/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { snapshot } from "../testing/toys.js";
import { isLeftover, listCheckpoints } from "./checkpoint-folders.js";
import { isUnsettled, placeOver, settle } from "./replace.js";

/** Changes of folders that are left until the process is dead; then each fails, those of a `finally` too. */
const life = vi.hoisted(() => ({ left: Infinity }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const mortal =
    <A extends unknown[], R>(change: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      life.left-- > 0 ? change(...args) : Promise.reject(new Error("killed"));
  return { ...real, rename: mortal(real.rename), rm: mortal(real.rm as never), rmdir: mortal(real.rmdir as never) };
});

const root = mkdtempSync(join(tmpdir(), "medgpt-replace-"));
const at = (...path: string[]): string => join(root, ...path);
let digests: { old: string; new: string };
beforeAll(async () => {
  const base = await tinyCausalLm(at("base"));
  digests = {
    old: (await tinyAdapter(at("old"), base)).digest,
    new: (await tinyAdapter(at("new"), { ...base, dir: at("elsewhere") })).digest,
  };
  expect(digests.new).not.toBe(digests.old);
  await writeFile(at("old/all_results.json"), '{"eval_loss": 1}');
  for (const step of [2, 4]) await checkpoint("old", step);
  await writeFile(at("old/notes.md"), "mine");
});
afterAll(() => rm(root, { recursive: true }));

/** As a run `by` saved it. */
async function checkpoint(by: string, step: number, name = `checkpoint-${step}`): Promise<void> {
  await mkdir(at(by, name), { recursive: true });
  await cp(at("old/adapter_config.json"), at(by, name, "adapter_config.json"));
  await cp(at("old/adapter_model.safetensors"), at(by, name, "adapter_model.safetensors"));
  await writeFile(at(by, name, "rng_state.json"), JSON.stringify({ by, step }));
}

const savedBy = async (dir: string): Promise<Record<number, string>> =>
  Object.fromEntries(
    await Promise.all(
      (await listCheckpoints(dir)).map(async (each) => {
        const { by, step } = JSON.parse(await readFile(join(each.dir, "rng_state.json"), "utf8")) as Record<
          string,
          string
        >;
        expect(Number(step)).toBe(each.step);
        return [each.step, by!] as const;
      }),
    ),
  );

/** What a reader takes the folder for. */
const seen = (dir: string): Promise<string> =>
  openArtifact(dir, ["adapter", "causal-lm"]).then(
    ({ digest }) => (digest === digests.old ? "old" : digest === digests.new ? "new" : "another"),
    (error: unknown) => (error instanceof ArtifactError ? "refused" : String(error)),
  );

/** Tries it with a process that dies after 0, 1, 2, … changes, and calls `check` on what is left, until one lives. */
async function dieEverywhere(
  name: string,
  prepare: (dir: string) => Promise<void>,
  act: (dir: string) => Promise<void>,
  check: (dir: string, decided: boolean) => Promise<void>,
): Promise<void> {
  for (let changes = 0, alive = false; !alive; changes++) {
    const dir = at(`${name}-${changes}`);
    await cp(at("old"), dir, { recursive: true });
    await prepare(dir);
    life.left = changes;
    await act(dir).then(
      () => (alive = true),
      (error: Error) => expect(error.message).toBe("killed"),
    );
    life.left = Infinity;
    const decided = alive || (await isUnsettled(dir));
    if (!decided) expect(changes, "the first change decides").toBe(0);
    if (!alive && changes % 2 === 0) {
      // The process that carries it out may be killed, too.
      const twice = at(`${name}-${changes}-twice`);
      await cp(dir, twice, { recursive: true });
      for (let more = 0; decided && (await isUnsettled(twice)); more++) {
        life.left = more;
        await settle(twice).catch((error: Error) => expect(error.message).toBe("killed"));
        life.left = Infinity;
        if (!(await isUnsettled(twice))) expect(["new", "refused"]).toContain(await seen(twice));
      }
      await check(twice, decided);
    }
    await check(dir, decided);
    expect(await readFile(join(dir, "notes.md"), "utf8")).toBe("mine");
  }
}

describe("a run that dies while it takes the place of another", () => {
  it.each([
    { after: 0, left: { 4: "new" } },
    { after: 2, left: { 2: "old", 4: "new" } },
  ])("leaves the old run or its first checkpoint, after $after", async ({ after, left }) => {
    const aside = ".checkpoint-4.partial";
    await dieEverywhere(
      `checkpoint-after-${after}`,
      (dir) => checkpoint("new", 4).then(() => cp(at("new/checkpoint-4"), join(dir, aside), { recursive: true })),
      (dir) => placeOver(dir, join(dir, aside), "checkpoint-4", after),
      async (dir, decided) => {
        if (!decided) {
          expect(await seen(dir)).toBe("old");
          expect(await savedBy(dir)).toEqual({ 2: "old", 4: "old" });
          return;
        }
        expect(["old", "refused"]).toContain(await seen(dir));
        await settle(dir);
        expect(await savedBy(dir)).toEqual(left);
        expect(await seen(dir)).toBe("refused");
        for (const name of ["adapter_model.safetensors", "medgpt.json", "all_results.json"])
          expect(existsSync(join(dir, name)), name).toBe(false);
        await expect(openArtifact(dir, "adapter")).rejects.toThrow(
          /^\S+: the run that wrote here has not ended: .* such as \S+\/checkpoint-4$/,
        );
      },
    );
  });

  it.each([
    { after: 0, left: {} },
    { after: 2, left: { 2: "old" } },
  ])("leaves the old run or its result, after $after", async ({ after, left }) => {
    const aside = ".result.partial";
    await dieEverywhere(
      `result-after-${after}`,
      async (dir) => {
        await mkdir(join(dir, aside));
        for (const name of ["adapter_config.json", "adapter_model.safetensors", "medgpt.json"])
          await cp(at("new", name), join(dir, aside, name));
      },
      (dir) => placeOver(dir, join(dir, aside), "result", after),
      async (dir, decided) => {
        if (!decided) return expect(await seen(dir)).toBe("old");
        expect(["new", "refused"]).toContain(await seen(dir));
        await settle(dir);
        expect(await seen(dir)).toBe("new");
        expect(await savedBy(dir)).toEqual(left);
        expect(readdirSync(dir).filter((name) => name.startsWith(".") && !isLeftover(name))).toEqual([]);
        expect(existsSync(join(dir, "all_results.json"))).toBe(false);
      },
    );
  });

  it("takes away an adapter without a manifest too, but no file that it has no like of", async () => {
    await dieEverywhere(
      "unsealed",
      async (dir) => {
        await rm(join(dir, "medgpt.json"));
        await writeFile(join(dir, "config.json"), "{}");
        await cp(at("new/checkpoint-4"), join(dir, ".checkpoint-4.partial"), { recursive: true });
      },
      (dir) => placeOver(dir, join(dir, ".checkpoint-4.partial"), "checkpoint-4", 0),
      async (dir, decided) => {
        if (!decided) return;
        await settle(dir);
        const files = Object.keys((await snapshot(dir))!).filter((name) => !name.startsWith("."));
        const saved = ["adapter_config.json", "adapter_model.safetensors", "rng_state.json"];
        expect(files).toEqual([...saved.map((name) => `checkpoint-4/${name}`), "config.json", "notes.md"]);
      },
    );
  });

  it("takes no file away that a damaged manifest puts outside of the folder", async () => {
    const dir = at("damaged");
    await cp(at("old"), dir, { recursive: true });
    await writeFile(at("outside.txt"), "mine");
    const files = {
      "../outside.txt": {},
      "a/../../outside.txt": {},
      [at("outside.txt")]: {},
      "adapter_config.json": {},
    };
    await writeFile(join(dir, "medgpt.json"), JSON.stringify({ kind: "adapter", files }));
    await cp(at("new/checkpoint-4"), join(dir, ".checkpoint-4.partial"), { recursive: true });
    await placeOver(dir, join(dir, ".checkpoint-4.partial"), "checkpoint-4", 0);
    expect(await readFile(at("outside.txt"), "utf8")).toBe("mine");
    expect(existsSync(join(dir, "adapter_config.json"))).toBe(false);
    expect(existsSync(join(dir, "medgpt.json"))).toBe(false);
  });
});
