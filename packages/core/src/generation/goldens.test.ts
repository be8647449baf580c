/** Generation against transformers (reference results G). */
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { families, loadCausalLm } from "../models/index.js";
import { readHfConfig } from "../checkpoint/hf-config.js";
import { expectClose } from "../testing/all-close.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenCases, goldenDir, hasGoldens, readCase, readTensors } from "../testing/goldens.js";
import { generate, type GenerationConfig } from "./index.js";
import * as warp from "./logits.js";

interface Case {
  readonly base: string;
  readonly pad_token_id: number;
  readonly eos_used: number;
  readonly variants: Readonly<Record<string, Partial<GenerationConfig>>>;
}

const MODELS = goldenCases("G_generation", "variants");
const backends = await availableBackends();
let compared = 0;

describe.skipIf(!hasGoldens).each(backends)("on $name", ({ create }) => {
  it.each(MODELS)("generates what transformers does with %s", async (name) => {
    const dir = goldenDir("G_generation", name);
    const { base, pad_token_id: pad, eos_used: eos, variants } = readCase<Case>(dir);
    const { modelType } = await readHfConfig(join(dir, base));
    if (!families.some((family) => family.modelType === modelType)) return;
    const io = await readTensors(join(dir, "io.safetensors"));
    const rows = (name: string): number[][] => {
      const { data, shape } = io.get(name) as { data: ArrayLike<number>; shape: readonly number[] };
      const [count, width] = shape as [number, number];
      return Array.from({ length: count }, (_, row) => Array.from(data).slice(row * width, (row + 1) * width));
    };
    const mask = rows("attention_mask");
    const prompts = rows("input_ids").map((ids, row) => Int32Array.from(ids.filter((_, i) => mask[row]?.[i] === 1)));
    const backend = await create();
    const model = await loadCausalLm(join(dir, base), { backend });
    const greedy = { greedy: {}, greedy_eos: { eos_token_id: eos } };
    const named = Object.entries(variants).map(
      ([key, config]) => [key.startsWith("beam") ? key : `greedy_${key}`, config] as const,
    );
    for (const [key, config] of [...Object.entries(greedy), ...named]) {
      const results = await generate(model, prompts, { max_new_tokens: 32, ...config });
      const expected = rows(key);
      // Shorter ones are padded there.
      const ours = results
        .flat()
        .map(({ ids }, row) => [...ids, ...Array<number>(expected[row]!.length - ids.length).fill(pad)]);
      expect(ours, key).toEqual(expected);
      const scores = io.get(`${key}_scores`)?.data;
      if (scores !== undefined)
        expectClose(
          results.flat().map(({ score }) => score as number),
          scores,
          { absolute: 1e-3, relative: 0 },
        );
      compared++;
    }
    await backend.dispose();
  });
});

type Warper = (logits: Float32Array, history: readonly number[]) => void;

/** Names of the reference's cases tell their values: "top_k_5", "top_p_keep3" (at 0.01), "repetition_1.2_ignore_prompt4". */
const WARPERS: readonly [pattern: RegExp, of: (value: number) => Warper][] = [
  [/^temperature_(.+)$/, (value) => (logits) => warp.temperature(logits, value)],
  [/^top_k_over_vocab$/, () => (logits) => warp.topK(logits, 1000)],
  [/^top_k_(\d+)$/, (value) => (logits) => warp.topK(logits, value)],
  [/^top_p_keep(\d+)$/, (value) => (logits) => warp.topP(logits, 0.01, value)],
  [/^top_p_(.+)$/, (value) => (logits) => warp.topP(logits, value)],
  [/^min_p_(.+)$/, (value) => (logits) => warp.minP(logits, value)],
  [/^typical_(.+)$/, (value) => (logits) => warp.typicalP(logits, value)],
  [
    /^repetition_1\.2_ignore_prompt(\d+)$/,
    (value) => (logits, history) => warp.repetitionPenalty(logits, history.slice(value), 1.2),
  ],
  [/^repetition_([\d.]+)$/, (value) => (logits, history) => warp.repetitionPenalty(logits, history, value)],
  [/^no_repeat_ngram_(\d+)$/, (value) => (logits, history) => warp.noRepeatNgram(logits, history, value)],
  [
    /^all_in_hf_order$/,
    () => (logits, history) => {
      warp.repetitionPenalty(logits, history, 1.1);
      warp.noRepeatNgram(logits, history, 3);
      warp.temperature(logits, 0.8);
      warp.topK(logits, 20);
      warp.topP(logits, 0.9);
      warp.minP(logits, 0.02);
    },
  ],
];

function warperOf(name: string): Warper {
  for (const [pattern, of] of WARPERS) {
    const match = pattern.exec(name);
    if (match !== null) return of(Number(match[1]));
  }
  throw new Error(`no processor for the reference's case ${name}`);
}

describe.each(goldenCases("G_generation", "cases").map((folder) => goldenDir("G_generation", folder)))(
  "logits",
  (dir) => {
    it.each(readCase<{ cases: string[] }>(dir).cases)("change as transformers has it: %s", async (name) => {
      const io = await readTensors(join(dir, "io.safetensors"));
      const { data, shape } = io.get("logits") as { data: Float32Array; shape: readonly number[] };
      const [rows, width] = shape as [number, number];
      const history = io.get("history") as { data: ArrayLike<number>; shape: readonly number[] };
      const length = history.shape[1] as number;
      const expected = io.get(`out.${name}`)!.data;
      for (let row = 0; row < rows; row++) {
        const logits = data.slice(row * width, (row + 1) * width);
        warperOf(name)(logits, Array.from(history.data).slice(row * length, (row + 1) * length));
        expectClose(logits, expected.slice(row * width, (row + 1) * width), { absolute: 1e-5, relative: 0 });
      }
      compared++;
    });
  },
);

it.skipIf(!hasGoldens)("compares every case", () => {
  expect(compared).toBeGreaterThan(0);
});

afterAll(() =>
  console.log(`compared ${compared} generation cases by value on ${backends.map(({ name }) => name).join(", ")}`),
);
