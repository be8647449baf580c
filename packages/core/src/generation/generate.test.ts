/** Generation on the native backend against the js backend, which records nothing: short prompts of every family. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.js";
import { readHfConfig } from "../checkpoint/hf-config.js";
import { families, loadCausalLm, type CausalLm } from "../models/index.js";
import { seededRandom } from "../numeric/seeded-random.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenDir, hasGoldens } from "../testing/goldens.js";
import { generate, type GenerationConfig } from "./index.js";

/** Every model of the references whose family is supported. */
async function modelDirs(): Promise<string[]> {
  const dirs = readdirSync(goldenDir("A_models"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith("config.json") && !/(tokenizer|generation)_config/.test(path))
    .map((path) => join(path, ".."));
  const types = await Promise.all(dirs.map(async (dir) => (await readHfConfig(goldenDir("A_models", dir))).modelType));
  return dirs.filter((_, index) => families.some(({ modelType }) => modelType === types[index])).sort();
}

const models = hasGoldens ? await modelDirs() : [];
const backends = await availableBackends();
const PROMPTS = 200;
const each = Math.ceil(PROMPTS / Math.max(1, models.length));
const CONFIGS: Readonly<Record<string, Partial<GenerationConfig>>> = {
  greedy: {},
  "greedy, scores changed": { repetition_penalty: 1.3 },
  "greedy, scores changed at first": { min_new_tokens: 3 },
  sampled: { do_sample: true, seed: 6, top_k: 20, temperature: 1.5 },
  beams: { num_beams: 3, num_return_sequences: 2 },
};

describe.skipIf(!hasGoldens || backends.length < 2)("on both backends", () => {
  const opened: Backend[] = [];
  beforeAll(async () => {
    for (const { create } of backends) opened.push(await create());
  });
  afterAll(async () => {
    for (const backend of opened) await backend.dispose();
  });

  it.each(models)("generates the same after short prompts: %s", async (name) => {
    const both = await Promise.all(opened.map((backend) => loadCausalLm(goldenDir("A_models", name), { backend })));
    const [js, native] = both as [CausalLm, CausalLm];
    const random = seededRandom(models.indexOf(name));
    const below = (limit: number) => Math.floor(random() * limit);
    const { vocabSize } = js.options;
    // The first are of one token, so that some calls have no other.
    const prompts = Array.from({ length: each }, (_, index) =>
      Int32Array.from({ length: index < 3 ? 1 : 1 + below(5) }, () => below(vocabSize)),
    );
    for (const [name, given] of Object.entries(CONFIGS)) {
      // Beams are of one prompt at a time, so a few will do.
      const some = name === "beams" ? prompts.slice(0, 6) : prompts;
      const continued = async (model: CausalLm, some: readonly Int32Array[], batchSize = 8) => {
        const results = await generate(model, some, { max_new_tokens: 5, ...given }, { batchSize });
        return results.map((texts) => texts.map(({ ids }) => [...ids]));
      };
      const expected = await continued(js, some);
      for (const batchSize of [1, 3, each]) expect(await continued(native, some, batchSize), name).toEqual(expected);
      expect(await continued(native, some.slice(0, 2)), name).toEqual(expected.slice(0, 2));
    }
    for (const model of both) model.base.dispose();
  });

  it("compares as many prompts as it should", () => {
    expect(models.length * each).toBeGreaterThanOrEqual(PROMPTS);
    expect(models.length).toBeGreaterThan(0);
  });
});
