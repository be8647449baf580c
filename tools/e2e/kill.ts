/**
 * Runs of the command that are killed again and again and started anew, beside one that is left alone. What a killed run
 * leaves is compared with the other's checkpoints after every kill, and its results at the end.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { MANIFEST_FILE, openArtifact } from "@medgpt/artifacts";
import type { RunEvent } from "@medgpt/core/run";
import { expect } from "vitest";
import { bin, checkpoints, logged, readJson, type Flags, type Toys } from "@medgpt/core/testing";

/** What a run is doing when it is killed; "end" is writing its results after the last checkpoint. */
export type Phase = "tokenising" | "step" | "evaluation" | "save" | "end";

export interface Moment {
  readonly phase: Phase;
  /** Steps that the process takes before. */
  readonly after: number;
  /** Milliseconds from the beginning of the phase. */
  readonly delay: number;
}

/** Evaluations and checkpoints come every so many steps. */
const EVERY = 2;
const LIMIT = 2;

/** Writes folders of text: `long`, which takes a while to tokenise, and `evaluated`, of which a part is a while to evaluate. */
export async function writeLongText(toys: Toys): Promise<{ train_file_dir: string; validation_file_dir: string }> {
  const lines = (count: number): string =>
    Array.from(
      { length: count },
      (_, index) => `第${index}例：发热三天，咳嗽，体温39.2°C。 Case ${index}: fever, cough.\n`,
    ).join("");
  await toys.write("long/text.txt", lines(8_000));
  await toys.write("evaluated/text.txt", lines(40));
  return { train_file_dir: toys.at("long"), validation_file_dir: toys.at("evaluated") };
}

/**
 * Kills a run at the given moments, starting it again each time: with --resume_from_checkpoint once there is a
 * checkpoint, and with the same command line until then. Asserts that every checkpoint it ever has is the uninterrupted
 * run's, bit for bit, and that it ends as that one does.
 * @returns what the run was found to be doing at each kill, by what it had written
 */
export async function surviveKills(
  toys: Toys,
  name: string,
  given: Flags,
  moments: readonly Moment[],
): Promise<Record<Phase, number>> {
  const flags: Flags = {
    eval_strategy: "steps",
    eval_steps: EVERY,
    save_strategy: "steps",
    save_steps: EVERY,
    load_best_model_at_end: true,
    lora_dropout: 0.05,
    logging_steps: 3,
    json: true,
    ...given,
  };
  const reference = await toys.run(`${name}-all`, flags);
  const limited = { ...flags, save_total_limit: LIMIT };
  const uncut = await toys.run(`${name}-uncut`, limited);

  const killed = { ...limited, cache_dir: toys.at(`${name}-cache`) };
  const [dir, cache] = [toys.at(`${name}-killed`), toys.at(`${name}-cache`)];
  const lastStep = (await logged(uncut.dir)).at(-1)!["step"]!;
  const places = { dir, cache, lastStep };
  const found: Record<Phase, number> = { tokenising: 0, step: 0, evaluation: 0, save: 0, end: 0 };
  for (const moment of moments) {
    const before = await present(dir);
    const argv = toys.argv(`${name}-killed`, resuming(killed, before));
    const { events, finished, stderr } = await runUntil(["pretrain", ...argv], moment, places);
    // The end is short: it may be over by then.
    if (moment.phase !== "end")
      expect(finished, `the run came to its end before it was killed: ${JSON.stringify(moment)}\n${stderr}`).toBe(
        false,
      );
    expect(stderr).not.toContain("error:");
    if (existsSync(join(dir, MANIFEST_FILE)) && !entries(dir).some(isUnplaced))
      await openArtifact(dir, ["adapter", "causal-lm"]);
    if (before.length > 0 && events.some(({ type }) => type === "step")) expectContinued(events, before.at(-1)!);
    found[moment.phase === "end" ? "end" : phaseOf(events, dir, cache)]++;
    const after = await present(dir);
    expect(after.length).toBeLessThanOrEqual(LIMIT + 2); // the best, and one that was about to be removed
    for (const step of after) await expectSameCheckpoint(dir, reference.dir, step);
  }

  const argv = toys.argv(`${name}-killed`, resuming(killed, await present(dir)));
  const { finished, code, stderr } = await runUntil(["pretrain", ...argv], undefined, places);
  expect({ finished, code }, stderr).toEqual({ finished: true, code: 0 });
  const rows = (await logged(uncut.dir)).slice(0, -1);
  expect((await logged(dir)).slice(0, -1)).toEqual(rows);
  expect(rows.filter((row) => "eval_loss" in row).length).toBeGreaterThan(moments.length / EVERY);
  expect(await checkpoints(dir)).toEqual(await checkpoints(uncut.dir));
  expect(readdirSync(dir).sort()).toEqual(readdirSync(uncut.dir).sort());
  expect(readdirSync(cache).filter((entry) => entry.startsWith("."))).toEqual([]);
  for (const file of weightFiles(uncut.dir)) expect(await same(file, dir, uncut.dir), file).toBe(true);
  const best = async (of: string): Promise<unknown> => {
    const { best_metric, best_global_step } = await readJson(of, "trainer_state.json");
    return { best_metric, best_global_step };
  };
  expect(await best(dir)).toEqual(await best(uncut.dir));
  for (const each of [dir, cache, reference.dir, uncut.dir]) await rm(each, { recursive: true });
  return found;
}

function resuming(flags: Flags, checkpoints: readonly number[]): Flags {
  return checkpoints.length === 0 ? flags : { ...flags, resume_from_checkpoint: true };
}

async function present(dir: string): Promise<number[]> {
  return existsSync(dir) ? checkpoints(dir) : [];
}

/** Starts the command and kills it at the moment, or lets it end. */
function runUntil(
  argv: readonly string[],
  moment: Moment | undefined,
  { dir, cache, lastStep }: { dir: string; cache: string; lastStep: number },
): Promise<{ finished: boolean; code: number | null; events: RunEvent[]; stderr: string }> {
  const child = spawn(process.execPath, [bin, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  const events: RunEvent[] = [];
  let [rest, stderr, steps, armed] = ["", "", 0, false];
  const arm = (): void => {
    if (armed) return;
    armed = true;
    setTimeout(() => child.kill("SIGKILL"), moment!.delay);
  };
  // Evaluations follow their step at once; the folders that the others write into are looked for.
  const look = (): void => {
    if (moment?.phase === "tokenising" && entries(cache).some((name) => name.includes(".partial-"))) arm();
    if (moment?.phase === "save" && steps >= moment.after && entries(dir).some(isUnfinished)) arm();
  };
  const watch = setInterval(look, 1);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = JSON.parse(line) as RunEvent;
      events.push(event);
      if (moment?.phase === "end" && isAtEnd(event, lastStep)) arm();
      if (event.type !== "step" || ++steps < (moment?.after ?? Infinity)) continue;
      // Between two steps there is nothing else where neither an evaluation nor a checkpoint is due.
      if (moment?.phase === (event.step % EVERY === 0 ? "evaluation" : "step")) arm();
    }
    look();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearInterval(watch);
      resolve({ finished: signal !== "SIGKILL", code, events, stderr });
    });
  });
}

function entries(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}

function isUnfinished(name: string): boolean {
  return /^\.checkpoint-\d+\.(partial|removed|after-\d+)$/.test(name);
}

/** Whether a result is being put in its place, which the next run finishes. */
function isUnplaced(name: string): boolean {
  return /^\.result\.(after-\d+|moving)$/.test(name);
}

/** Whether the checkpoint of the last step was written, or is continued from. */
function isAtEnd(event: RunEvent, steps: number): boolean {
  if (event.type === "saved") return event.path.endsWith(`checkpoint-${steps}`);
  return event.type === "message" && event.text.endsWith(`at step ${steps} of ${steps}`);
}

/** What a killed run was doing, by what it left and said. */
function phaseOf(events: readonly RunEvent[], dir: string, cache: string): Phase {
  if (entries(cache).some((name) => name.includes(".partial-"))) return "tokenising";
  if (entries(dir).some(isUnfinished)) return "save";
  const last = events.findLast(({ type }) => type === "step" || type === "eval");
  return last?.type === "step" && last.step % EVERY === 0 ? "evaluation" : "step";
}

function expectContinued(events: readonly RunEvent[], step: number): void {
  const first = events.find((event) => event.type === "step");
  expect(first).toMatchObject({ step: step + 1 });
}

function weightFiles(dir: string): string[] {
  const files = readdirSync(dir, { recursive: true, encoding: "utf8" });
  return files.filter((file) => /(model|optimizer)\.safetensors$/.test(file)).sort();
}

async function same(file: string, a: string, b: string): Promise<boolean> {
  return (await readFile(join(a, file))).equals(await readFile(join(b, file)));
}

async function expectSameCheckpoint(dir: string, reference: string, step: number): Promise<void> {
  const [ours, theirs] = [join(dir, `checkpoint-${step}`), join(reference, `checkpoint-${step}`)];
  expect(readdirSync(ours).sort()).toEqual(readdirSync(theirs).sort());
  for (const file of [...weightFiles(theirs), "rng_state.json"])
    expect(await same(file, ours, theirs), `checkpoint-${step}/${file}`).toBe(true);
  expect(await logged(ours)).toEqual(await logged(theirs));
}
