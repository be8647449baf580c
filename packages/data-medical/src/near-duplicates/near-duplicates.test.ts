import { describe, expect, it } from "vitest";
import { ExactDuplicates, fingerprint, minHash, NearDuplicates, similarity } from "./index.js";

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const HAN = Array.from(
  "患者头痛发热咳嗽三天应当先量体温再看血压是否正常药物每日两次饭后服用注意休息多喝水复查肝肾功能",
);
const LATIN = Array.from("etaoinshrdlucmfwygpb");

/** The set of shingles by the definition: runs of three Han characters or six letters. */
function shingleSet(text: string): Set<string> {
  const chars = Array.from(text.toLowerCase().replace(/[\s\p{P}]/gu, ""));
  const found = new Set<string>();
  for (let start = 0; start < chars.length; start++) {
    let [end, weight] = [start, 0];
    while (weight < 6 && end < chars.length) weight += /\p{Script=Han}/u.test(chars[end++]!) ? 2 : 1;
    if (weight >= 6 || start === 0) found.add(chars.slice(start, end).join(""));
  }
  return found;
}

function jaccard(a: string, b: string): number {
  const [left, right] = [shingleSet(a), shingleSet(b)];
  let common = 0;
  for (const each of left) if (right.has(each)) common++;
  return common / (left.size + right.size - common);
}

const text = (alphabet: readonly string[], length: number, next: () => number): string =>
  Array.from({ length }, () => alphabet[Math.floor(next() * alphabet.length)]!).join("");

/** A text with about `share` of its characters replaced. */
const changed = (original: string, alphabet: readonly string[], share: number, next: () => number): string =>
  Array.from(original, (char) => (next() < share ? alphabet[Math.floor(next() * alphabet.length)]! : char)).join("");

describe("a MinHash signature", () => {
  it.each([
    ["Chinese", HAN, 300],
    ["English", LATIN, 900],
    ["a mixture", [...HAN, ...LATIN], 400],
    ["short Chinese", HAN, 25],
    ["short English", LATIN, 50],
  ])("estimates the Jaccard index of %s without bias", (_, alphabet, length) => {
    const next = random(length);
    let [bias, squares] = [0, 0];
    const pairs = 400;
    for (let i = 0; i < pairs; i++) {
      const a = text(alphabet, length, next);
      const b = changed(a, alphabet, i / pairs / 4, next);
      const error = similarity(minHash(a, 1)!, minHash(b, 1)!) - jaccard(a, b);
      bias += error / pairs;
      squares += error ** 2 / pairs;
    }
    // A slot's standard deviation is at most 1/2; 128 slots, of which short texts fill some twice.
    expect(Math.abs(bias)).toBeLessThan((4 * 0.06) / Math.sqrt(pairs));
    expect(Math.sqrt(squares)).toBeLessThan(0.06);
  });

  it("does not see case, width, spaces and punctuation", () => {
    const signature = minHash("服用 Aspirin 100mg，每日一次。", 7);
    expect(minHash("服用ａｓｐｉｒｉｎ 100MG, 每日一次！\n", 7)).toEqual(signature);
    expect(minHash("服用 Aspirin 200mg，每日一次。", 7)).not.toEqual(signature);
  });

  it("depends on the seed, and is the same in every release", () => {
    expect(minHash("头痛怎么办", 1)).not.toEqual(minHash("头痛怎么办", 2));
    expect(Array.from(minHash("头痛怎么办？多休息。", 42)!.subarray(0, 6))).toEqual([201, 34, 201, 201, 34, 201]);
  });

  it("is there for one character, and not for none", () => {
    expect(similarity(minHash("痛", 1)!, minHash("痛。", 1)!)).toBe(1);
    expect(similarity(minHash("痛", 1)!, minHash("热", 1)!)).toBeLessThan(0.1);
    expect(minHash("", 1)).toBeUndefined();
    expect(minHash("…… \n", 1)).toBeUndefined();
  });
});

describe("near duplicates", () => {
  it.each([0.5, 0.7, 0.8, 0.9])("are those that comparing all pairs finds, at %d", (threshold) => {
    const next = random(threshold * 100);
    const texts: string[] = [];
    for (let i = 0; i < 400; i++) {
      const original = text(i % 2 === 0 ? HAN : LATIN, 100 + Math.floor(next() * 200), next);
      texts.push(original, changed(original, i % 2 === 0 ? HAN : LATIN, next() / 8, next));
    }
    const index = new NearDuplicates({ threshold });
    let [far, near, missed] = [0, 0, 0];
    texts.forEach((each, row) => {
      const signature = minHash(each, 3)!;
      const found = index.find(signature);
      expect(index.add(signature)).toBe(row);
      if (found !== undefined) expect(found).toBe(row - 1);
      const truth = row % 2 === 1 ? jaccard(each, texts[row - 1]!) : 0;
      // The estimate's standard error is 0.035 to 0.044: what lies three of them away must be decided rightly.
      if (found !== undefined && truth < threshold - 0.13) far++;
      if (truth >= Math.min(threshold + 0.13, 0.97)) {
        near++;
        if (found === undefined) missed++;
      }
    });
    expect({ far, missed }).toEqual({ far: 0, missed: 0 });
    expect(near).toBeGreaterThan(10);
  });

  it("are found after the tables have grown, the earliest first", () => {
    const next = random(5);
    const texts = Array.from({ length: 3000 }, () => text(HAN, 60, next));
    const index = new NearDuplicates({ threshold: 0.8 });
    for (const each of [...texts, ...texts]) index.add(minHash(each, 1)!);
    expect(index.size).toBe(6000);
    expect(texts.map((each) => index.find(minHash(each, 1)!))).toEqual(texts.map((_, row) => row));
  });

  it("stays quick where all are alike", () => {
    const index = new NearDuplicates({ threshold: 0.8 });
    const signature = minHash("全部一样的内容", 1)!;
    for (let row = 0; row < 5_000; row++) index.add(signature);
    expect(index.find(signature)).toBe(0);
  });

  it("refuses a threshold at which everything would be compared", () => {
    expect(() => new NearDuplicates({ threshold: 0.3 })).toThrow("expected a threshold from 0.5 to 1, got 0.3");
  });
});

describe("exact duplicates", () => {
  it("are found as a map of the texts finds them", () => {
    const next = random(9);
    const known = new Map<string, number>();
    const exact = new ExactDuplicates();
    for (let i = 0; i < 20_000; i++) {
      const each = text(HAN, 3, next);
      expect(exact.add(fingerprint(each))).toBe(known.get(each));
      if (!known.has(each)) known.set(each, known.size);
    }
    expect(exact.size).toBe(known.size);
    expect(known.size).toBeGreaterThan(10_000);
  });

  it("are the same for a text and its bytes", () => {
    expect(fingerprint("头痛")).toEqual(fingerprint(Buffer.from("头痛")));
    expect(fingerprint("头痛")).not.toEqual(fingerprint("头痛 "));
  });
});
