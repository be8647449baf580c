/** Twenty kills at random moments, ten of a run with LoRA and ten of one without. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { seededRandom } from "@medgpt/core/numeric";
import { surviveKills, writeLongText, type Moment, type Phase } from "./kill.js";
import type { Flags, Toys } from "@medgpt/core/testing";
import { makeToys } from "../../packages/pretrain/src/testing/toys.js";

let toys: Toys;
let text: Flags;
beforeAll(async () => {
  toys = await makeToys();
  text = await writeLongText(toys);
});
afterAll(() => toys.remove());

/** What each kill aims at. Nothing is tokenised any more once that was finished, and the end comes last. */
// prettier-ignore
const PHASES: readonly Phase[] = [
  "tokenising", "tokenising", "save", "evaluation", "step", "save", "evaluation", "step", "end", "end",
];
/** Milliseconds within which a phase is hit. */
const LENGTH: Readonly<Record<Phase, number>> = { tokenising: 150, save: 25, evaluation: 40, step: 10, end: 40 };

it.each([
  { name: "lora", flags: { model_name_or_path: "qwen2", modules_to_save: "embed_tokens,lm_head" }, seed: 11 },
  { name: "full", flags: { model_name_or_path: "bloom", use_peft: false }, seed: 12 },
])("a run ($name) that is killed ten times ends with the same bits", async ({ name, flags, seed }) => {
  const random = seededRandom(seed);
  const moments = PHASES.map((phase): Moment => ({
    phase,
    after: Math.floor(3 * random()),
    delay: Math.floor(LENGTH[phase] * random()),
  }));
  const found = await surviveKills(
    toys,
    name,
    {
      ...flags,
      ...text,
      model_name_or_path: toys.at(flags.model_name_or_path),
      max_train_samples: 64,
      max_steps: 80,
      per_device_eval_batch_size: 1,
      gradient_accumulation_steps: 2,
    },
    moments,
  );
  console.log(`${name}: killed ${moments.length} times, found ${JSON.stringify(found)}`);
  expect(Object.values(found).reduce((sum, count) => sum + count)).toBe(PHASES.length);
  for (const phase of ["tokenising", "save"] as const) expect(found[phase], phase).toBeGreaterThan(0);
  expect(found.step + found.evaluation).toBeGreaterThan(0);
});
