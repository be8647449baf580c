/** Training curves and schedules against the Hugging Face Trainer (reference results C). */
import { existsSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { SCHEDULES } from "../optim/schedule.js";
import { compareCurve, compareSchedule } from "../testing/compare-goldens.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenCases, goldenDir, hasGoldens } from "../testing/goldens.js";

/** Curves over blocks of text, from an adapter or of the whole model. */
const curves = goldenCases("C_training", "steps", "block_size");
const isLora = (name: string): boolean => existsSync(goldenDir("C_training", name, "init_adapter"));
const slow = curves.filter(isLora).at(-1);
const backends = await availableBackends();
// The plain backend is slow: one curve shows that it takes the same steps.
const cases = backends.flatMap((backend) =>
  curves
    .filter((name) => backend.name !== "js" || name === slow)
    .flatMap((name) =>
      [false, true].map((checkpointing) => ({
        name,
        checkpointing,
        backend: backend.name,
        create: () => backend.create(),
      })),
    ),
);
let compared = 0;

describe.skipIf(!hasGoldens)("training", () => {
  it.each(cases)(
    "follows the Trainer's curve for $name on $backend, gradient checkpointing $checkpointing",
    async ({ name, checkpointing, create }) => {
      const backend = await create();
      await compareCurve(backend, goldenDir("C_training", name), { lora: isLora(name), checkpointing });
      compared++;
      await backend.dispose();
    },
  );
});

it.skipIf(!hasGoldens)("compares every curve", () => {
  expect(curves.length).toBeGreaterThan(0);
  expect(compared).toBe(cases.length);
});

afterAll(() =>
  console.log(`compared ${compared} training curves by value on ${backends.map(({ name }) => name).join(", ")}`),
);

const folders = goldenCases("C_training", "schedules");
it.skipIf(folders.length === 0).each(SCHEDULES)("gives transformers' %s schedule", (type) => {
  for (const folder of folders) compareSchedule(goldenDir("C_training", folder), type);
});
