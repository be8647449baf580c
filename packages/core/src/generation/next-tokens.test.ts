import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadCausalLm } from "../models/index.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenDir, hasGoldens, readCase } from "../testing/goldens.js";
import { KvCache } from "./kv-cache.js";
import { argMax } from "./logits.js";
import { NextTokens, type Continuation } from "./next-tokens.js";

/** Slots of each pass and their new tokens: prompts, then one token each, then with one sequence less and in another order. */
const PASSES: readonly (readonly (readonly [slot: number, ids: readonly number[]])[])[] = [
  [0, 1, 2].map((slot) => [slot, [5, 9, 11].slice(slot)]),
  ...[3, 40, 17, 8].map((id) => [0, 1, 2].map((slot) => [slot, [id + slot]] as const)),
  ...[2, 30, 12].map((id) => [2, 0].map((slot) => [slot, [id + slot]] as const)),
];

describe.skipIf(!hasGoldens).each(await availableBackends())("on $name", ({ create }) => {
  it.each([false, true])("repeats passes as if it ran each anew; scaled by length: %s", async (scaled) => {
    const backend = await create();
    const dir = goldenDir("G_generation", "qwen2");
    const model = await loadCausalLm(join(dir, readCase<{ base: string }>(dir).base), { backend });
    const { positions } = model.options;
    if (positions.kind !== "rope") throw new Error("expected rotary positions");
    const frequencies = (longest: number) => positions.frequencies(longest).map((x) => x / longest);
    if (scaled) Object.assign(model.options, { positions: { ...positions, frequencies } });
    const { liveBuffers } = backend.memory();
    const [cache, other] = [new KvCache(model, 3, 16), new KvCache(model, 3, 16)];
    const [kept, likeliest] = [new NextTokens(model, cache), new NextTokens(model, cache)];
    const lengths = [0, 0, 0];
    for (const pass of PASSES) {
      const sequences = pass.map(([slot, ids]): Continuation => ({ slot, position: lengths[slot]!, ids }));
      for (const [slot, ids] of pass) lengths[slot]! += ids.length;
      const anew = new NextTokens(model, other);
      const logits = await anew.logits(sequences);
      expect(await kept.logits(sequences)).toEqual(logits);
      expect([...(await likeliest.likeliest(sequences))]).toEqual(logits.map(argMax));
      anew.dispose();
    }
    for (const each of [kept, likeliest, cache, other]) each.dispose();
    expect(backend.memory().liveBuffers).toBe(liveBuffers);
    await backend.dispose();
  });
});
