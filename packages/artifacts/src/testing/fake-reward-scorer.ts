import type { RewardRequest, RewardScorer } from "../reward-scorer.js";

/** A scorer for tests: by default it prefers long answers (characters / 100). `calls` keeps the batches that it was given. */
export function fakeRewardScorer(
  score: (request: RewardRequest) => number | null = ({ completion }) => completion.length / 100,
): RewardScorer & { readonly calls: readonly (readonly RewardRequest[])[]; readonly disposed: boolean } {
  const calls: (readonly RewardRequest[])[] = [];
  let disposed = false;
  return {
    specificationVersion: "v1",
    name: "fake",
    calls,
    get disposed() {
      return disposed;
    },
    async score(requests) {
      if (disposed) throw new Error("the fake reward scorer was asked after it was disposed");
      calls.push([...requests]);
      return requests.map(score);
    },
    async dispose() {
      disposed = true;
    },
  };
}
