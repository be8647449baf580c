/** A run that is killed goes on as if it had not been. The long version is in killed.full.test.ts. */
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { surviveKills, writeLongText, type Moment } from "./kill.js";
import { checkpoints, type Toys } from "@medgpt/core/testing";
import { makeToys } from "../../packages/pretrain/src/testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
});
afterAll(() => toys.remove());

it("ends with the same bits after it was killed while tokenising, evaluating and saving", async () => {
  const moments: Moment[] = [
    { phase: "tokenising", after: 0, delay: 0 },
    { phase: "evaluation", after: 3, delay: 2 },
    { phase: "save", after: 2, delay: 1 },
  ];
  const text = await writeLongText(toys);
  const flags = { ...text, max_train_samples: 20, max_eval_samples: 8, max_steps: 40 };
  const found = await surviveKills(toys, "three", flags, moments);
  expect(Object.values(found).reduce((sum, count) => sum + count)).toBe(3);
});

it("starts anew over what a killed run left, and continues from no unfinished checkpoint", async () => {
  for (const name of [".checkpoint-2.partial", ".checkpoint-1.removed"]) await toys.write(`killed/${name}/x`, "half");
  await toys.write("killed/.adapter_model.safetensors.0123456789ab.tmp", "half");
  const none = await toys.command(toys.argv("killed", { resume_from_checkpoint: true }));
  expect(none.stderr).toMatch(/: there is no checkpoint-<step> folder to continue from; to start from the beginning/);
  const partial = toys.at("killed/.checkpoint-2.partial");
  const refused = await toys.command(toys.argv("killed", { resume_from_checkpoint: partial }));
  expect(refused.stderr).toBe(
    `error: ${partial}: --resume_from_checkpoint: a killed run left this checkpoint unfinished; give another\n`,
  );
  const { dir } = await toys.run("killed", { max_steps: 2, save_strategy: "steps", save_steps: 1 });
  expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
  expect(await checkpoints(dir)).toEqual([1, 2]);
});

it("keeps save_total_limit when it was killed after the last checkpoint and before an older one was removed", async () => {
  const flags = { max_steps: 3, save_strategy: "steps", save_steps: 1 };
  const { dir } = await toys.run("late", flags);
  expect(await checkpoints(dir)).toEqual([1, 2, 3]);
  await toys.run("late", { ...flags, save_total_limit: 2, resume_from_checkpoint: true });
  expect(await checkpoints(dir)).toEqual([2, 3]);
});
