/** Neat packing: documents share a row and see nothing of each other. */
import { chooseBackend } from "@medgpt/core/backends";
import { collate, type Sequences } from "@medgpt/core/data";
import { parseFlags } from "@medgpt/core/config";
import { loadCausalLm, tokenLoss } from "@medgpt/core/models";
import { noGrad } from "@medgpt/core/tensor";
import { loadTokenizer } from "@medgpt/core/tokenizer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pretrainSchema } from "./config.js";
import { batchesOf, loadData } from "./data.js";
import { backends, FAMILIES, logged, type Flags, type Toys } from "@medgpt/core/testing";
import { makeToys } from "./testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
});
afterAll(() => toys.remove());

const cases = backends.flatMap((backend) => FAMILIES.map((family) => ({ backend, family })));

describe.each(cases)("$family on the $backend backend", ({ backend: name, family }) => {
  it("has as its loss the sum of the losses of the documents alone", async () => {
    const { backend } = await chooseBackend({ backend: name });
    const model = await loadCausalLm(toys.at(family), { backend });
    const tokenizer = await loadTokenizer(toys.at(family));
    // Blocks of 64: rows of several documents, and a document in pieces.
    const { config } = parseFlags(pretrainSchema, toys.argv("unused", { neat_packing: true, block_size: 64 }));
    await using data = await loadData(config, tokenizer, { log: () => {} });
    const { train } = data;
    const losses = (rows: Sequences): Promise<Float32Array> =>
      noGrad(() => tokenLoss(model, collate(rows.map((ids) => ({ ids })))).nll.read()) as Promise<Float32Array>;
    const sum = (values: Float32Array): number => values.reduce((total, value) => total + value, 0);

    let documents = 0;
    for (let row = 0; row < train.count; row++) {
      const sequences = await train.readSequences(row);
      documents += sequences.length;
      const packed = await losses(sequences);
      const alone: number[] = [];
      for (const ids of sequences) alone.push(sum(await losses([ids])));
      const total = alone.reduce((a, b) => a + b, 0);
      expect(Math.abs(sum(packed) - total)).toBeLessThan(1e-5 * Math.max(1, packed.length));
      // The last token of each document predicts nothing, least of all the first of the next.
      const batch = await batchesOf(train).batch([row]);
      const ends = sequences.map((_, i) => sequences.slice(0, i + 1).flatMap((ids) => [...ids]).length - 1);
      expect([...batch.labels.keys()].filter((t) => batch.labels[t] === -100)).toEqual(ends);
      expect(ends.map((t) => packed[t])).toEqual(ends.map(() => 0));
      // Joined without regard to documents, the row has another loss.
      if (sequences.length > 1) {
        const joined = await losses([await train.read(row)]);
        expect(Math.abs(sum(joined) - total)).toBeGreaterThan(1e-2);
      }
    }
    expect(documents).toBeGreaterThan(train.count);
    await backend.dispose();
  });
});

it("trains the same from the stream as from the cache", async () => {
  const flags: Flags = {
    backend: "js",
    neat_packing: true,
    block_size: 64,
    train_sampling_strategy: "sequential",
    max_steps: 4,
    num_train_epochs: undefined,
  };
  const losses = async (output: string, more: Flags) =>
    (await logged((await toys.run(output, { ...flags, ...more })).dir)).slice(0, 4).map(({ loss }) => loss);
  const cached = await losses("neat", {});
  expect(cached).toHaveLength(4);
  expect(await losses("neat-streamed", { streaming: true })).toEqual(cached);
  expect(await losses("not-neat", { neat_packing: false })).not.toEqual(cached);
});
