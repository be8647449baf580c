/**
 * Models, adapters and training against transformers, PEFT and the Trainer, with reference results that travel with the
 * repository (tools/parity/generate.py makes them), so that equality is proved wherever the tests run.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { families } from "../models/index.js";
import { SCHEDULES } from "../optim/schedule.js";
import { compareAdapter, compareCurve, compareModel, compareSchedule } from "./compare-goldens.js";
import { availableBackends } from "./each-backend.js";

interface Case {
  readonly name: string;
  readonly model_type: string;
}

interface Fixtures {
  readonly cases: {
    readonly models: readonly Case[];
    readonly adapters: readonly Case[];
    readonly curves: readonly (Case & { readonly lora: boolean })[];
  };
  /** sha256 by path. */
  readonly files: Readonly<Record<string, string>>;
}

const dir = fileURLToPath(new URL("../../../../tools/parity/fixtures/", import.meta.url));
const { cases, files } = JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8")) as Fixtures;
// Families that the fixtures have already and the library has not are left out.
const known = new Set(families.map(({ modelType }) => modelType));
const isKnown = ({ model_type }: Case): boolean => known.has(model_type);
const [models, adapters, curves] = [
  cases.models.filter(isKnown),
  cases.adapters.filter(isKnown),
  cases.curves.filter(isKnown),
];
const backends = await availableBackends();
let compared = 0;

it("has the files that were made, for every family but those to come", () => {
  for (const [path, digest] of Object.entries(files))
    expect(
      createHash("sha256")
        .update(readFileSync(join(dir, path)))
        .digest("hex"),
      path,
    ).toBe(digest);
  const covered = new Set(cases.models.map(({ model_type }) => model_type));
  expect([...known].filter((family) => !covered.has(family))).toEqual([]);
});

describe.each(backends)("on $name", ({ name: backendName, create }) => {
  it.each(models)("gives the loss and logits of transformers for $name", async ({ name }) => {
    const backend = await create();
    await compareModel(backend, join(dir, "models", name));
    compared++;
    await backend.dispose();
  });

  it.each(adapters)("gives the loss, logits and gradients of PEFT for $name", async ({ name }) => {
    const backend = await create();
    await compareAdapter(backend, join(dir, "adapters", name));
    compared++;
    await backend.dispose();
  });

  it.each(curves)("follows the Trainer's curve for $name", async ({ name, lora }) => {
    const backend = await create();
    await compareCurve(backend, join(dir, "curves", name), { lora, checkpointing: backendName !== "js" });
    compared++;
    await backend.dispose();
  });
});

it.each(SCHEDULES)("gives transformers' %s schedule", (type) => {
  compareSchedule(join(dir, "schedules"), type);
});

it("compares every case on every backend", () => {
  expect(compared).toBe((models.length + adapters.length + curves.length) * backends.length);
  expect(models.length).toBeGreaterThanOrEqual(4);
});

afterAll(() => console.log(`compared ${compared} fixtures by value on ${backends.map(({ name }) => name).join(", ")}`));
