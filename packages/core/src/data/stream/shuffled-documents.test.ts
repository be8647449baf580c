import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { shuffleState, ShuffledDocuments, type ShuffleOptions } from "./shuffled-documents.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-shuffle-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** Files of lines "0", "1", … */
function numbers(name: string, ...counts: number[]): string[] {
  let next = 0;
  return counts.map((count, i) => {
    const file = join(dir, `${name}-${i}.txt`);
    writeFileSync(file, Array.from({ length: count }, () => `${next++}\n`).join(""));
    return file;
  });
}
const options = (changes: Partial<ShuffleOptions>): ShuffleOptions => ({
  keepLinebreaks: false,
  seed: 42,
  bufferSize: 10,
  ...changes,
});

async function rest(documents: ShuffledDocuments): Promise<number[]> {
  const order: number[] = [];
  for (let next = await documents.next(); next !== undefined; next = await documents.next())
    order.push(Number(next.text));
  return order;
}

interface Reference {
  readonly cases: readonly { count: number; seed: number; buffer_size: number; epoch: number; order: string }[];
  readonly files: readonly { counts: number[]; seed: number; buffer_size: number; epoch: number; order: string }[];
}
const reference = JSON.parse(
  readFileSync(new URL("shuffled-documents.test.json", import.meta.url), "utf8"),
) as Reference;

describe("ShuffledDocuments", () => {
  it.each(reference.cases)(
    "gives the order of datasets for $count documents, seed $seed, a buffer of $buffer_size, in pass $epoch",
    async ({ count, seed, buffer_size, epoch, order }) => {
      const files = numbers(`reference-${seed}-${buffer_size}-${epoch}`, count);
      const documents = ShuffledDocuments.begin(files, options({ seed, bufferSize: buffer_size }), epoch);
      expect((await rest(documents)).join(" ")).toBe(order);
    },
  );

  it.each(reference.files)(
    "takes several files one after the other, as datasets does after skip(), in pass $epoch",
    async ({ counts, seed, buffer_size, epoch, order }) => {
      const files = numbers(`files-${epoch}`, ...counts);
      const documents = ShuffledDocuments.begin(files, options({ seed, bufferSize: buffer_size }), epoch);
      expect((await rest(documents)).join(" ")).toBe(order);
    },
  );

  it("keeps the order of the files with a buffer of one", async () => {
    const files = numbers("one", 5, 0, 7);
    const order = await rest(ShuffledDocuments.begin(files, options({ bufferSize: 1 }), 0));
    expect(order).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });

  it.each([1, 4, 10, 2000])("goes on from any place in the same order, with a buffer of %i", async (bufferSize) => {
    const files = numbers(`resume-${bufferSize}`, 30, 17, 3);
    const order = await rest(ShuffledDocuments.begin(files, options({ bufferSize }), 1));
    expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    for (let given = 0; given <= 50; given++) {
      const documents = ShuffledDocuments.begin(files, options({ bufferSize }), 1);
      for (let i = 0; i < given; i++) await documents.next();
      const state = shuffleState.parse(JSON.parse(JSON.stringify(documents.state())));
      await documents.close();
      const again = await ShuffledDocuments.restore(files, options({ bufferSize }), state);
      expect(again.state()).toEqual(state);
      expect(await rest(again)).toEqual(order.slice(given));
    }
  });

  it("holds no more than the bound of the text, and still gives everything once", async () => {
    // Some 2 million characters a document: 33 of them reach 64 Mi.
    const file = join(dir, "long.txt");
    const line = "x".repeat(2 << 20);
    writeFileSync(file, Array.from({ length: 40 }, (_, i) => `${i} ${line}\n`).join(""));
    const documents = ShuffledDocuments.begin([file], options({ bufferSize: 1000 }), 0);
    const seen: number[] = [];
    for (let next = await documents.next(); next !== undefined; next = await documents.next()) {
      seen.push(Number(next.text.split(" ")[0]));
      expect(documents.state().kept.split(" ").length).toBeLessThan(20);
    }
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(seen).not.toEqual(seen.toSorted((a, b) => a - b));
  });

  it("refuses to go on where documents are gone", async () => {
    const files = numbers("gone", 30);
    const documents = ShuffledDocuments.begin(files, options({}), 0);
    for (let i = 0; i < 15; i++) await documents.next();
    const state = documents.state();
    await documents.close();
    writeFileSync(files[0]!, "0\n1\n");
    await expect(ShuffledDocuments.restore(files, options({}), state)).rejects.toThrow(
      `${files[0]}: holds fewer documents than when the checkpoint was saved`,
    );
    await expect(
      ShuffledDocuments.restore(numbers("there", 30), options({}), { ...state, kept: "0 1 29" }),
    ).rejects.toThrow("names documents that were not read yet");
  });
});
