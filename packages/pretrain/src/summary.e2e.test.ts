/** What a run says at its end, and how often it logs where nobody asked. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { medgpt, readJson, stepsWith, type Flags, type Outcome, type Toys } from "@medgpt/core/testing";
import { makeToys } from "./testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
});
afterAll(() => toys.remove());

const run = (output: string, flags: Flags = {}): Promise<Outcome> =>
  toys.command(toys.argv(output, { max_steps: 7, logging_steps: undefined, ...flags }));

/** The arguments of the command that the run proposes. */
const proposed = (stdout: string): string[] =>
  / to try next: npx medgpt (.*)$/m.exec(stdout)![1]!.replaceAll("'", "").split(" ");

describe("the end of a run", () => {
  it("says steps, losses, speed and memory, and a command that works", async () => {
    const { code, stdout } = await run("done");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^done: 7 steps in \d+s; loss \d\.\d{4} at first, \d\.\d{4} at last; [\d,]+ tokens\/s; peak memory \d+(\.\d)? [MG]iB$/m,
    );
    expect(stdout).toContain(
      `the adapter is in ${toys.at("done")}; to try next: npx medgpt merge --model_name_or_path`,
    );
    expect(await medgpt(proposed(stdout))).toMatchObject({ code: 0 });
  });

  it("proposes a prompt for a whole model", async () => {
    const { stdout } = await run("whole model's", { use_peft: false, max_steps: 1 });
    const next = /the model is in .*; to try next: npx medgpt (.*)$/m.exec(stdout)![1]!;
    expect(next).toBe(`generate --raw --model_name_or_path '${toys.at("whole model")}'\\''s' --prompt 'Diabetes is'`);
    const argv = ["generate", "--raw", "--model_name_or_path", toys.at("whole model's"), "--max_new_tokens", "2"];
    expect(await medgpt([...argv, "--prompt", "Diabetes is"])).toMatchObject({ code: 0 });
  });

  it("says nothing where nothing was trained", async () => {
    const { code, stdout } = await run("only-evaluated", {
      do_train: undefined,
      do_eval: true,
      validation_file_dir: toys.at("held"),
    });
    expect(code).toBe(0);
    expect(stdout).not.toContain("done:");
  });
});

describe("a run that is shorter than the default of --logging_steps", () => {
  it.each([
    [7, [1, 2, 3, 4, 5, 6, 7], "every step"],
    [21, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20], "every 2 steps"],
  ])("of %i steps logs about ten times and says so", async (max_steps, steps, often) => {
    const { stderr } = await run(`short-${max_steps}`, { max_steps });
    expect(stderr).toContain(
      `the loss is logged ${often}, as the run is shorter than the 500 steps that --logging_steps`,
    );
    expect(await stepsWith(toys.at(`short-${max_steps}`), "loss")).toEqual(steps);
  });

  it("evaluates no more often for that", async () => {
    await run("evaluated", { eval_strategy: "steps", validation_file_dir: toys.at("held") });
    expect(await stepsWith(toys.at("evaluated"), "eval_loss")).toEqual([7]);
    expect(await readJson(toys.at("evaluated"), "trainer_state.json")).toMatchObject({
      logging_steps: 1,
      eval_steps: 500,
    });
  });

  it.each<Flags>([{ logging_steps: 500 }, { logging_steps: 10 }, { logging_strategy: "epoch" }])(
    "logs as the Trainer does where the user says how: %j",
    async (flags) => {
      const output = `asked-${Object.values(flags).join()}`;
      const { stderr } = await run(output, flags);
      expect(stderr).not.toContain("the loss is logged");
      expect(await stepsWith(toys.at(output), "loss")).toEqual("logging_strategy" in flags ? [7] : []);
    },
  );
});
