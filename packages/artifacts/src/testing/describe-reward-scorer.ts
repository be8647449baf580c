import assert from "node:assert/strict";
import type { RewardRequest, RewardScorer } from "../reward-scorer.js";

/** The two functions of a test runner (vitest, node:test, …) that the suite is written down with. */
export interface TestFunctions {
  describe: (name: string, body: () => void) => unknown;
  it: (name: string, body: () => Promise<void>) => unknown;
}

const REQUESTS: readonly RewardRequest[] = [
  { prompt: "What is fever?", completion: "A body temperature above 38 °C." },
  { prompt: "What is fever?", completion: "" },
  { prompt: "发热怎么办？", completion: "多休息，多喝水；超过三天请就医。", row: { guideline: "fever" } },
  {
    prompt: "user: May I take two doses?\nassistant:",
    completion: "Ask your doctor first.",
    messages: [{ role: "user", content: "May I take two doses?" }],
  },
];

/** Batching may change the order of additions inside a model, and with it the last bits of a float32 score. */
const TOLERANCE = 1e-4;

/**
 * The tests that every RewardScorer has to pass, for the author of one:
 *
 *   import { describe, it } from "vitest";
 *   describeRewardScorer({ describe, it }, () => createRewardScorer({ column: "guideline" }));
 *
 * @param create makes a fresh scorer; called once a test
 * @param requests at least two, of which one should be as unlike the others as the scorer may meet
 */
export function describeRewardScorer(
  { describe, it }: TestFunctions,
  create: () => RewardScorer | Promise<RewardScorer>,
  requests: readonly RewardRequest[] = REQUESTS,
): void {
  const withScorer = (test: (scorer: RewardScorer) => Promise<void>) => async () => {
    const scorer = await create();
    try {
      await test(scorer);
    } finally {
      await scorer.dispose?.();
    }
  };

  describe("RewardScorer", () => {
    it(
      "names itself and its specification version",
      withScorer(async (scorer) => {
        assert.equal(scorer.specificationVersion, "v1");
        assert.ok(scorer.name.length > 0, "name is empty");
      }),
    );

    it(
      "gives each request one finite score or null",
      withScorer(async (scorer) => {
        const scores = await scorer.score(requests);
        assert.equal(scores.length, requests.length);
        for (const score of scores) assert.ok(score === null || Number.isFinite(score), `score ${String(score)}`);
      }),
    );

    it(
      "gives no scores for no requests",
      withScorer(async (scorer) => {
        assert.deepEqual(await scorer.score([]), []);
      }),
    );

    it(
      "scores a request alone as it does in a batch, null included",
      withScorer(async (scorer) => {
        const together = await scorer.score(requests);
        for (const [index, request] of requests.entries()) {
          const [alone] = await scorer.score([request]);
          assertClose(alone, together[index], `request ${index}`);
        }
      }),
    );

    it(
      "keeps the order of the requests",
      withScorer(async (scorer) => {
        const forward = await scorer.score(requests);
        const backward = await scorer.score([...requests].reverse());
        for (const [index, score] of forward.entries()) {
          assertClose(backward[requests.length - 1 - index], score, `request ${index}`);
        }
      }),
    );

    it(
      "leaves the requests as they are",
      withScorer(async (scorer) => {
        const copy = structuredClone(requests) as RewardRequest[];
        await scorer.score(copy);
        assert.deepEqual(copy, requests);
      }),
    );

    it("can be disposed of unused", async () => {
      await (await create()).dispose?.();
    });
  });
}

function assertClose(actual: number | null | undefined, expected: number | null | undefined, what: string): void {
  if (typeof actual === "number" && typeof expected === "number") {
    const difference = Math.abs(actual - expected);
    assert.ok(difference <= TOLERANCE * Math.max(1, Math.abs(expected)), `${what}: ${actual} and ${expected} differ`);
  } else {
    assert.equal(actual, expected, what);
  }
}
