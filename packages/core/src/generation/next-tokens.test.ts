import { describe, expect, it } from "vitest";
import { loadCausalLm } from "../models/index.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenModel } from "../testing/goldens.js";
import { KvCache } from "./kv-cache.js";
import { argMax } from "./logits.js";
import { NextTokens, type Pass } from "./next-tokens.js";

/** Prompts, then one token of each, then with one sequence less and in another order, then as many prompts of one token. */
const PASSES: readonly Pass[] = [
  { prompts: [0, 1, 2].map((slot) => ({ slot, ids: [5, 9, 11].slice(slot) })) },
  ...[3, 40, 17, 8].map((id, step) => ({
    next: [0, 1, 2].map((slot) => ({ slot, position: 3 - slot + step, id: id + slot })),
  })),
  ...[2, 30, 12].map((id, step) => ({
    next: [2, 0].map((slot) => ({ slot, position: 7 - slot + step, id: id + slot })),
  })),
  { prompts: [0, 1].map((slot) => ({ slot, ids: [21 + slot] })) },
  ...[4, 18].map((id, step) => ({ next: [1, 0].map((slot) => ({ slot, position: 1 + step, id: id + slot })) })),
];

// Any model with rotary positions will do.
const dir = goldenModel("qwen2") ?? goldenModel("llama") ?? goldenModel("qwen3");

describe.skipIf(dir === undefined).each(await availableBackends())("on $name", ({ create }) => {
  it.each([false, true])("repeats passes as if it ran each anew; scaled by length: %s", async (scaled) => {
    const backend = await create();
    const model = await loadCausalLm(dir!, { backend });
    const { positions } = model.options;
    if (positions.kind !== "rope") throw new Error("expected rotary positions");
    const frequencies = (longest: number) => positions.frequencies(longest).map((x) => x / longest);
    if (scaled) Object.assign(model.options, { positions: { ...positions, frequencies } });
    const { liveBuffers } = backend.memory();
    const [cache, other] = [new KvCache(model, 3, 16), new KvCache(model, 3, 16)];
    const [kept, likeliest] = [new NextTokens(model, cache), new NextTokens(model, cache)];
    for (const pass of PASSES) {
      const anew = new NextTokens(model, other);
      const logits = await anew.logits(pass);
      expect(await kept.logits(pass)).toEqual(logits);
      expect([...(await likeliest.likeliest(pass))]).toEqual(logits.map(argMax));
      anew.dispose();
    }
    for (const each of [kept, likeliest, cache, other]) each.dispose();
    expect(backend.memory().liveBuffers).toBe(liveBuffers);
    await backend.dispose();
  });
});
