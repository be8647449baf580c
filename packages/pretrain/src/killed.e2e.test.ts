/** A run that is killed goes on as if it had not been. The long version is in killed.full.test.ts. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { surviveKills, writeLongText, type Moment } from "./testing/kill.js";
import { Toys } from "./testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await Toys.make();
});
afterAll(() => toys.remove());

it("ends with the same bits after it was killed while tokenising, evaluating and saving", async () => {
  const moments: Moment[] = [
    { phase: "tokenising", after: 0, delay: 0 },
    { phase: "evaluation", after: 3, delay: 2 },
    { phase: "save", after: 2, delay: 1 },
  ];
  const text = await writeLongText(toys);
  const flags = { ...text, max_train_samples: 20, max_eval_samples: 8, max_steps: 16 };
  const found = await surviveKills(toys, "three", flags, moments);
  expect(Object.values(found).reduce((sum, count) => sum + count)).toBe(3);
});
