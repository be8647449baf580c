/** Training curves and schedules against the Hugging Face Trainer (reference results C). */
import { afterAll, describe, expect, it } from "vitest";
import { SCHEDULES } from "../optim/schedule.js";
import { compareCurve, compareSchedule } from "../testing/compare-goldens.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenDir, hasGoldens } from "../testing/goldens.js";

const LORA = ["llama_lora_linear", "qwen2_lora_cosine", "bloom_lora_cosine_noclip"];
const FULL = ["qwen2_full_linear", "bloom_full_cosine_wd"];
const backends = await availableBackends();
// The plain backend is slow: one curve shows that it takes the same steps.
const cases = backends.flatMap((backend) =>
  [...LORA, ...FULL]
    .filter((name) => backend.name !== "js" || name === "qwen2_lora_cosine")
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
      await compareCurve(backend, goldenDir("C_training", name), { lora: LORA.includes(name), checkpointing });
      compared++;
      await backend.dispose();
    },
  );
});

it.skipIf(!hasGoldens)("compares every curve", () => {
  expect(compared).toBe(cases.length);
});

afterAll(() =>
  console.log(`compared ${compared} training curves by value on ${backends.map(({ name }) => name).join(", ")}`),
);

it.skipIf(!hasGoldens).each(SCHEDULES)("gives transformers' %s schedule", (type) => {
  compareSchedule(goldenDir("C_training", "schedules"), type);
});
