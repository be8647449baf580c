import { describe, expect, it } from "vitest";
import { InputError } from "./medgpt-error.js";
import { weightedSum, type RewardRequest, type RewardScorer } from "./reward-scorer.js";
import { describeRewardScorer, fakeRewardScorer } from "./testing/index.js";

const request = (completion: string): RewardRequest => ({ prompt: "p", completion });

describe("weightedSum", () => {
  it("adds weight times score, request by request", async () => {
    const length = fakeRewardScorer(({ completion }) => completion.length);
    const constant = fakeRewardScorer(() => 10);
    const scores = await weightedSum([
      [0.5, length],
      [-2, constant],
    ]).score([request("ab"), request("abcd")]);
    expect(scores).toEqual([1 - 20, 2 - 20]);
  });

  it("leaves out a scorer that does not apply, and gives null where none does", async () => {
    const onlyShort = fakeRewardScorer(({ completion }) => (completion.length < 3 ? 1 : null));
    const onlyEmpty = fakeRewardScorer(({ completion }) => (completion === "" ? 5 : null));
    const sum = weightedSum([
      [2, onlyShort],
      [1, onlyEmpty],
    ]);
    expect(await sum.score([request(""), request("ab"), request("abcd")])).toEqual([7, 2, null]);
  });

  it("says which scorer gave the wrong number of scores or a score that is not finite", async () => {
    const short: RewardScorer = { specificationVersion: "v1", name: "short", score: async () => [] };
    await expect(weightedSum([[1, short]]).score([request("a")])).rejects.toThrow(
      '"short" gave 0 scores for 1 requests',
    );
    const nan = fakeRewardScorer(() => NaN);
    await expect(weightedSum([[1, nan]]).score([request("a")])).rejects.toThrow("gave NaN for request 0");
  });

  it("refuses an empty list and a weight that is no number", () => {
    expect(() => weightedSum([])).toThrow(InputError);
    expect(() => weightedSum([[Infinity, fakeRewardScorer()]])).toThrow("expected a finite number");
  });

  it("disposes each part once", async () => {
    let disposals = 0;
    const scorer: RewardScorer = {
      specificationVersion: "v1",
      name: "counted",
      score: async (requests) => requests.map(() => 0),
      dispose: async () => void disposals++,
    };
    await weightedSum([
      [1, scorer],
      [2, scorer],
    ]).dispose?.();
    expect(disposals).toBe(1);
  });
});

describeRewardScorer({ describe, it }, () => fakeRewardScorer());
describeRewardScorer({ describe, it }, () =>
  weightedSum([
    [0.8, fakeRewardScorer()],
    [0.2, fakeRewardScorer(() => null)],
  ]),
);

/** Runs the conformance suite against a scorer and returns the names of the tests that failed. */
async function failures(create: () => RewardScorer): Promise<string[]> {
  const tests: [string, () => Promise<void>][] = [];
  describeRewardScorer({ describe: (_, body) => body(), it: (name, body) => tests.push([name, body]) }, create);
  const failed: string[] = [];
  for (const [name, body] of tests) await body().catch(() => failed.push(name));
  return failed;
}

describe("describeRewardScorer", () => {
  it("passes a proper scorer", async () => {
    expect(await failures(() => fakeRewardScorer())).toEqual([]);
  });

  it("catches a scorer whose scores depend on the batch", async () => {
    const create = (): RewardScorer => ({
      specificationVersion: "v1",
      name: "batch mean",
      score: async (requests) => requests.map(({ completion }) => completion.length - requests.length),
    });
    expect(await failures(create)).toEqual(["scores a request alone as it does in a batch, null included"]);
  });

  it("catches a scorer that sorts, one that gives NaN and one that drops requests", async () => {
    const scorer = (score: RewardScorer["score"]) => (): RewardScorer => ({
      specificationVersion: "v1",
      name: "bad",
      score,
    });
    const sorted = scorer(async (requests) =>
      requests.map(({ completion }) => completion.length).sort((a, b) => a - b),
    );
    expect(await failures(sorted)).toContain("keeps the order of the requests");
    expect(await failures(scorer(async (requests) => requests.map(() => NaN)))).toContain(
      "gives each request one finite score or null",
    );
    expect(await failures(scorer(async () => [1]))).toContain("gives no scores for no requests");
  });
});
