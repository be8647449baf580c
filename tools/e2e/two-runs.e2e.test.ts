/** A second run in a folder: over the first, after it was killed, at the same time, or going on with something changed. */
import { existsSync, readdirSync } from "node:fs";
import { cp, readFile, rename, rm, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { ArtifactError, openArtifact } from "@medgpt/artifacts";
import { checkpoints, medgpt, readJson, snapshot, type Flags, type Toys } from "@medgpt/core/testing";
import type { RunEvent } from "@medgpt/core/run";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeToys } from "../../packages/pretrain/src/testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
  await toys.write("other/text.txt", "rash and rest, bed 5: fever for three days, a cough at night.\n".repeat(40));
});
afterAll(() => toys.remove());

const FIRST: Flags = { max_steps: 4, save_strategy: "steps", save_steps: 2 };
const SECOND: Flags = { ...FIRST, max_steps: 6, seed: 7, overwrite_output_dir: true };
const said = (events: readonly RunEvent[], level?: "info" | "warn"): string[] =>
  events.flatMap((event) => (event.type === "message" && (level ?? event.level) === event.level ? [event.text] : []));
/** Files but for those of nothing that lasts, and TensorBoard's. */
const lasting = async (dir: string): Promise<Record<string, string>> =>
  Object.fromEntries(Object.entries((await snapshot(dir))!).filter(([name]) => !/^(\.|runs\/)/.test(name)));

describe("a run over another", () => {
  let first: { dir: string; digest: string; files: Record<string, string> };
  beforeAll(async () => {
    const { dir } = await toys.run("first", { ...FIRST, do_eval: true, validation_file_dir: toys.at("held") });
    first = { dir, digest: (await openArtifact(dir, "adapter")).digest, files: await lasting(dir) };
  });
  const again = async (name: string): Promise<string> => {
    await cp(first.dir, toys.at(name), { recursive: true });
    return toys.at(name);
  };

  it("says beforehand what will go, when, and how to go on with it instead", async () => {
    const dir = await again("told");
    const { events } = await toys.run("told", SECOND);
    expect(said(events, "warn")).toEqual([
      `${dir} has a finished adapter and checkpoint-2, checkpoint-4 of an earlier run: removed when the first checkpoint of this run, or its result, is whole; to go on with that run instead, add --resume_from_checkpoint True`,
    ]);
    expect(await checkpoints(dir)).toEqual([2, 4, 6]);
    for (const step of [2, 4, 6])
      expect(await readJson(dir, `checkpoint-${step}`, "rng_state.json")).toMatchObject({ seed: 7 });
    expect(await readJson(dir, "all_results.json")).not.toHaveProperty("eval_loss");
  });

  it("leaves everything as it was when it ends before its first step or its first checkpoint", async () => {
    const dir = await again("early");
    for (const stop of ["train: ", "step"]) {
      const controller = new AbortController();
      const onEvent = (event: RunEvent): void => {
        if (stop === "step" ? event.type === "step" : event.type === "message" && event.text.startsWith(stop))
          if (stop === "step") throw new Error("fell over");
          else controller.abort();
      };
      await expect(toys.run("early", SECOND, { signal: controller.signal, onEvent })).rejects.toThrow();
      expect(await lasting(dir)).toEqual(first.files);
    }
    expect((await openArtifact(dir, "adapter")).digest).toBe(first.digest);
    const { events } = await toys.run("early", { ...FIRST, max_steps: 6, resume_from_checkpoint: true });
    expect(said(events)).toContain(`continuing from ${dir}/checkpoint-4 at step 4 of 6`);
  });

  it("replaces a result by a result where it saves no checkpoint", async () => {
    const dir = await again("unsaved");
    await toys.run("unsaved", { ...SECOND, save_strategy: "no" });
    expect(await checkpoints(dir)).toEqual([]);
    expect((await openArtifact(dir, "adapter")).manifest.createdBy?.config).toMatchObject({ seed: 7 });
  });

  it("leaves the old run or the new one, and never a result beside another run's checkpoints, when it is killed", async () => {
    type Moment = (event: RunEvent) => number | undefined;
    const at =
      (type: RunEvent["type"], count: number, delay: number) =>
      (seen = 0): Moment =>
      (event) =>
        event.type === type && ++seen === count ? delay : undefined;
    const moments = [
      ...[at("step", 1, 0), at("step", 2, 0), at("step", 2, 15), at("saved", 1, 0)],
      ...[at("step", 4, 15), at("saved", 3, 0), at("saved", 3, 8)],
    ].map((make) => make());
    const found = { old: 0, unfinished: 0, new: 0 };
    for (const [index, moment] of moments.entries()) {
      const dir = await again(`killed-${index}`);
      let read = 0;
      let armed = false;
      await medgpt(["pretrain", ...toys.argv(`killed-${index}`, { ...SECOND, json: true })], {}, (stdout, send) => {
        const lines = stdout.split("\n");
        for (; read < lines.length - 1; read++) {
          const delay = armed ? undefined : moment(JSON.parse(lines[read]!) as RunEvent);
          if (delay === undefined) continue;
          armed = true;
          setTimeout(() => send("SIGKILL"), delay);
        }
      });
      found[await stateOf(dir)]++;
      // And it goes on from there: the old run or the new one, to its end.
      const resumed = await toys.command(toys.argv(`killed-${index}`, { ...SECOND, resume_from_checkpoint: true }));
      expect(resumed.code, resumed.stderr).toBe(0);
      await openArtifact(dir, "adapter");
      expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
    }
    expect(found.old).toBeGreaterThan(0);
    expect(found.unfinished).toBeGreaterThan(0);
  }, 240_000);

  /** Asserts that a folder is one of the three. */
  async function stateOf(dir: string): Promise<"old" | "unfinished" | "new"> {
    const seeds = new Set<unknown>();
    for (const step of await checkpoints(dir))
      seeds.add((await readJson(dir, `checkpoint-${step}`, "rng_state.json"))["seed"]);
    const result = await openArtifact(dir, ["adapter", "causal-lm"]).catch((error: unknown) => error as ArtifactError);
    const decided = readdirSync(dir).some((name) => /^\.(checkpoint-\d+|result)\.(after-\d+|moving)$/.test(name));
    if (result instanceof ArtifactError) {
      expect(["half-written", "missing"]).toContain(result.reason);
      if (!decided) expect([...seeds]).toEqual([7]);
      return "unfinished";
    }
    expect(result.inferred).toBe(false);
    if (result.digest !== first.digest) {
      expect([...seeds]).toEqual([7]);
      return "new";
    }
    if (!decided) expect(await lasting(dir)).toEqual(first.files);
    return "old";
  }

  it("refuses to read from the folder whose result it would remove, and to spoil a folder of data", async () => {
    const dir = await again("reads");
    const wrong: [Flags, string][] = [
      [
        { peft_path: dir },
        `${dir}: --overwrite_output_dir would remove this folder, which the run reads; give another`,
      ],
      [
        { peft_path: `${dir}/`, resume_from_checkpoint: true },
        `${dir}/: --resume_from_checkpoint would remove this folder, which the run reads; give another --output_dir`,
      ],
    ];
    for (const [flags, message] of wrong) {
      const { code, stderr } = await toys.command(toys.argv("reads", { ...SECOND, ...flags }));
      expect(stderr).toContain(`error: ${message}`);
      expect(code).toBe(2);
    }
    expect(await lasting(dir)).toEqual(first.files);
    const files = { "a.jsonl": { bytes: 0, sha256: "" } };
    await toys.write("rows/medgpt.json", JSON.stringify({ medgpt: 1, kind: "dataset", files }));
    const { code, stderr } = await toys.command(toys.argv("rows", SECOND));
    expect(code).toBe(2);
    expect(stderr).toContain(
      "rows: --output_dir: this folder is a dataset, which a run would spoil; give another one\n",
    );
  });

  it("needs --overwrite_output_dir to go on in a folder of another run from a checkpoint elsewhere", async () => {
    const dir = await again("elsewhere");
    const flags = { ...FIRST, max_steps: 6, resume_from_checkpoint: join(first.dir, "checkpoint-4") };
    const { code, stderr } = await toys.command(toys.argv("elsewhere", flags));
    expect(code).toBe(2);
    expect(stderr).toContain(`error: ${dir}: --output_dir is not empty: give --overwrite_output_dir`);
    expect(await lasting(dir)).toEqual(first.files);
    await toys.run("elsewhere", { ...flags, overwrite_output_dir: true });
    expect(await checkpoints(dir)).toEqual([6]);
  });

  it("that goes on from an earlier checkpoint removes the later ones, and says so", async () => {
    const dir = await again("branch");
    const flags = { ...FIRST, save_steps: 3, learning_rate: 0.02, resume_from_checkpoint: join(dir, "checkpoint-2") };
    const { events } = await toys.run("branch", flags);
    expect(said(events, "warn")).toEqual([
      `${dir} has checkpoint-4, later than the step that this run goes on from: removed when its own next checkpoint is whole`,
      `${dir}/checkpoint-2: learning_rate was 0.01 and is 0.02: the run continues, but not as it would have`,
    ]);
    expect(await checkpoints(dir)).toEqual([2, 3, 4]);
    const { config } = await readJson<{ config: unknown }>(dir, "checkpoint-4", "training_args.json");
    expect(config).toMatchObject({ learning_rate: 0.02 });
  });

  it("takes the place of a result without a manifest, beside checkpoints of another program", async () => {
    const dir = await again("foreign");
    for (const name of ["medgpt.json", "checkpoint-2/rng_state.json", "checkpoint-4"])
      await rm(join(dir, name), { recursive: true });
    const controller = new AbortController();
    const run = toys.run("foreign", SECOND, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === "saved") controller.abort();
      },
    });
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    await expect(openArtifact(dir, "adapter")).rejects.toThrow(/: the run that wrote here has not ended: /);
    const merge = ["merge", "--base_model", toys.at("llama"), "--lora_model", dir, "--output_dir", toys.at("merged")];
    const { code, stderr } = await medgpt(merge);
    expect(stderr).toContain("there is no result yet, only checkpoints");
    expect(code).toBe(2);
  });
});

describe("two runs at once", () => {
  it("do not meet in a folder: the second is told which process the first is", async () => {
    let asked: Promise<{ code: number | null; stderr: string }> | undefined;
    const argv = toys.argv("busy", { max_steps: 60, json: true, threads: 1 });
    const running = await medgpt(["pretrain", ...argv], {}, (stdout) => {
      if (stdout.includes('"type":"step"'))
        asked ??= toys.command(toys.argv("busy", { max_steps: 1, overwrite_output_dir: true }));
    });
    const { code, stderr } = await asked!;
    expect(stderr).toMatch(
      new RegExp(
        `^error: ${toys.at("busy")}: --output_dir: another run is writing into this folder \\(process \\d+ of ${hostname()}, since \\S+Z\\); wait for it or stop it, or give another folder\\n$`,
      ),
    );
    expect([code, running.code]).toEqual([2, 0]);
    expect(readdirSync(toys.at("busy")).filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe("resuming", () => {
  const warnings = async (output: string, before: Flags, after: Flags): Promise<string[]> => {
    await toys.run(output, { ...FIRST, packing: false, max_steps: 2, ...before });
    const flags = { ...FIRST, packing: false, ...before, ...after, resume_from_checkpoint: true };
    return said((await toys.run(output, flags)).events, "warn");
  };

  it("with something changed lists it in one warning", async () => {
    const changed = {
      ...{ train_file_dir: toys.at("other"), per_device_train_batch_size: 5, gradient_accumulation_steps: 2 },
      ...{ learning_rate: 0.02, lora_alpha: 16, lora_dropout: 0.1, block_size: 30, weight_decay: 0.1, seed: 5 },
    };
    const [warning, ...more] = await warnings("changed", {}, changed);
    expect(more).toEqual([]);
    expect(warning!.slice(toys.at("changed").length)).toBe(
      `/checkpoint-2: the training data changed; the number of rows to train on was 14 and is 40; block_size was 32 and is 30; per_device_train_batch_size was 2 and is 5; gradient_accumulation_steps was 1 and is 2; learning_rate was 0.01 and is 0.02; weight_decay was 0 and is 0.1; lora_alpha was 32 and is 16; lora_dropout was 0.05 and is 0.1; seed was 42 and is 5; data_seed was 42 and is 5: the run continues, but not as it would have`,
    );
  });

  it("for longer, with copied data, other reports and another place for the cache is no change", async () => {
    await toys.copy("text", "copied");
    const after = {
      ...{
        train_file_dir: toys.at("copied"),
        max_steps: 5,
        logging_steps: 2,
        save_steps: 1,
        cache_dir: toys.at("cache-2"),
      },
      ...{
        gradient_checkpointing: "full",
        save_total_limit: 3,
        threads: 1,
        target_modules: "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
      },
    };
    expect(await warnings("longer", {}, after)).toEqual([]);
  });

  it("with streaming tells other times of the files", async () => {
    await toys.copy("text", "streamed");
    const flags = { streaming: true, train_file_dir: toys.at("streamed") };
    await toys.run("stream", { ...FIRST, ...flags, max_steps: 2 });
    const resume = { ...FIRST, ...flags, max_steps: 3, resume_from_checkpoint: true };
    expect(said((await toys.run("stream", resume)).events, "warn")).toEqual([]);
    await utimes(toys.at("streamed/one.txt"), 1, 1);
    expect(said((await toys.run("stream", { ...resume, max_steps: 4 })).events, "warn")).toEqual([
      `${toys.at("stream")}/checkpoint-3: the time of the training data's files changed: the run continues, but not as it would have`,
    ]);
  });

  it("tells another base of the same shape", async () => {
    await toys.run("base", { ...FIRST, max_steps: 2 });
    await toys.copy("llama", "llama-2");
    const full = await toys.run("llama-trained", { max_steps: 1, use_peft: false });
    await cp(join(full.dir, "model.safetensors"), toys.at("llama-2/model.safetensors"));
    const { events } = await toys.run("base", {
      ...FIRST,
      model_name_or_path: toys.at("llama-2"),
      resume_from_checkpoint: true,
    });
    expect(said(events, "warn")).toEqual([expect.stringContaining("/checkpoint-2: the base model changed: the run")]);
  });

  it.each<[Flags, RegExp]>([
    [
      { lora_rank: 4 },
      /--lora_rank 4: this checkpoint has rank 8, and a run goes on with what it began with; give --lora_rank 8, or begin anew/,
    ],
    [
      { target_modules: "q_proj" },
      /--target_modules: this checkpoint trains other modules: it has one for model.layers.0.self_attn.k_proj, and .*; give --target_modules down_proj,gate_proj,k_proj,o_proj,q_proj,up_proj,v_proj, or/,
    ],
    [{ modules_to_save: "lm_head" }, /--modules_to_save lm_head: this checkpoint was saved with None, /],
    [{ use_peft: false }, /--use_peft False: this checkpoint holds an adapter, .*; give --use_peft True, or/],
  ])("with another adapter is refused: %j", async (flags, error) => {
    if (!existsSync(toys.at("adapter"))) await toys.run("adapter", { ...FIRST, max_steps: 2 });
    const before = await snapshot(toys.at("adapter"));
    const argv = toys.argv("adapter", { ...FIRST, ...flags, resume_from_checkpoint: true });
    const { code, stderr } = await toys.command(argv);
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(error);
    expect(stderr).toContain(`error: ${toys.at("adapter/checkpoint-2")}: `);
    expect(code).toBe(2);
    expect(await snapshot(toys.at("adapter"))).toEqual(before);
  });

  it("goes on from a checkpoint of an earlier version, and says what it cannot tell", async () => {
    const { dir } = await toys.run("earlier", { ...FIRST, max_steps: 2 });
    await rm(join(dir, "checkpoint-2/training_args.json"));
    const flags = { ...FIRST, lora_alpha: 8, resume_from_checkpoint: true };
    const { events } = await toys.run("earlier", flags);
    expect(said(events)).toContain(
      `${dir}/checkpoint-2: an earlier version saved it, so whether the data or the flags were others is not known`,
    );
    expect(said(events, "warn")).toEqual([expect.stringContaining(": lora_alpha was 32 and is 8: the run continues")]);
  });

  it.each(['{"config": 1, "traits": {}}', '{"config": {}}', "[]", "{"])(
    "refuses a record that is damaged: %s",
    async (text) => {
      if (!existsSync(toys.at("damaged"))) await toys.run("damaged", { ...FIRST, max_steps: 2 });
      const file = await toys.write("damaged/checkpoint-2/training_args.json", text);
      const { code, stderr } = await toys.command(toys.argv("damaged", { ...FIRST, resume_from_checkpoint: true }));
      expect(stderr).toContain(`error: ${file}`);
      expect(code).toBe(2);
    },
  );

  it("a finished run rewrites nothing, whatever the flags say", async () => {
    const { dir } = await toys.run("finished", FIRST);
    const before = await snapshot(dir);
    const flags = { ...FIRST, train_file_dir: toys.at("other"), resume_from_checkpoint: true };
    const { events } = await toys.run("finished", flags);
    expect(await snapshot(dir)).toEqual(before);
    expect(said(events, "warn")).toEqual([
      "nothing is left to train, and what is different has no effect (the training data changed); to train longer, raise --max_steps or --num_train_epochs",
    ]);
    expect(said(events).at(-1)).toBe(`${dir}: the result is left as it is`);
    expect(events.filter(({ type }) => type === "saved")).toEqual([]);
  });

  it("a finished run that was killed before its result was written writes it, but not with others' flags", async () => {
    const { dir } = await toys.run("unwritten", FIRST);
    const adapter = await readFile(join(dir, "adapter_model.safetensors"));
    await rename(join(dir, "medgpt.json"), toys.at("medgpt.json"));
    const flags = { ...FIRST, resume_from_checkpoint: true };
    const other = await toys.command(toys.argv("unwritten", { ...flags, train_file_dir: toys.at("other") }));
    expect(other.code).toBe(2);
    expect(other.stderr).toContain(
      `error: ${dir}: nothing is left to train, and its result would be said to come of what it was not trained with: the training data changed; `,
    );
    expect(existsSync(join(dir, "medgpt.json"))).toBe(false);
    await toys.run("unwritten", flags);
    await openArtifact(dir, "adapter");
    expect((await readFile(join(dir, "adapter_model.safetensors"))).equals(adapter)).toBe(true);
    expect(await checkpoints(dir)).toEqual([2, 4]);
  });
});

describe("evaluation and logs", () => {
  const evaluation = { validation_file_dir: "", eval_strategy: "steps", eval_steps: 2 };
  beforeAll(() => {
    evaluation.validation_file_dir = toys.at("held");
  });
  const evaluations = (events: readonly RunEvent[]): number =>
    events.filter((event) => event.type === "progress" && event.task === "evaluating" && event.done === event.total)
      .length;

  it("evaluates the last step once, and the best one not again", async () => {
    const once = await toys.run("once", { ...evaluation, max_steps: 4 });
    expect(evaluations(once.events)).toBe(2);
    const last = (await readJson<{ log_history: Record<string, number>[] }>(once.dir, "trainer_state.json"))
      .log_history;
    const { eval_loss } = await readJson(once.dir, "eval_results.json");
    expect(eval_loss).toBe(last.findLast((row) => "eval_loss" in row)!["eval_loss"]);
    const best = { load_best_model_at_end: true, greater_is_better: true, save_strategy: "steps", save_steps: 2 };
    const first = await toys.run("best", { ...evaluation, ...best, max_steps: 4 });
    expect(evaluations(first.events)).toBe(2);
    const state = await readJson(first.dir, "trainer_state.json");
    expect((await readJson(first.dir, "eval_results.json"))["eval_loss"]).toBe(state["best_metric"]);
  });

  it("is one run of TensorBoard, the evaluation after training and a resumed run included", async () => {
    const flags = { ...FIRST, do_eval: true, validation_file_dir: toys.at("held"), report_to: "tensorboard" };
    const { dir } = await toys.run("board", flags);
    const files = (): string[] => readdirSync(join(dir, "runs"), { recursive: true, encoding: "utf8" });
    expect(files()).toHaveLength(2); // a folder and a file
    await toys.run("board", { ...flags, max_steps: 6, resume_from_checkpoint: true });
    expect(readdirSync(join(dir, "runs"))).toHaveLength(1);
    expect(files()).toHaveLength(3);
    await toys.run("board", { ...flags, overwrite_output_dir: true, logging_dir: toys.at("elsewhere-board") });
    expect(files()).toHaveLength(3);
  });
});

it("looks at the folders of text before it opens the model", async () => {
  await toys.write("none/readme.md", "no text");
  for (const flags of [{ train_file_dir: toys.at("typo") }, { do_eval: true, validation_file_dir: toys.at("none") }]) {
    const argv = toys.argv("unread", { ...flags, model_name_or_path: toys.at("no-model") });
    const { code, stderr } = await toys.command(argv);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error: \S+\/(typo|none): expected a folder with .* files, but (there is no such folder|it has only 1 other file)\n$/,
    );
  }
  expect(existsSync(toys.at("unread"))).toBe(false);
});
