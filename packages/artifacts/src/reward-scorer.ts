import { InputError, MedgptError } from "./medgpt-error.js";

/** One answer to be judged. */
export interface RewardRequest {
  /** The rendered prompt, as the model saw it. */
  readonly prompt: string;
  /** What the model answered, without special tokens. */
  readonly completion: string;
  /** The conversation that the prompt was rendered from, when there was one. */
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
  /** The dataset's row, with whatever columns it has. */
  readonly row?: Readonly<Record<string, unknown>>;
}

/** Gives answers their reward. Reinforcement learning asks for this, not for a reward model, so that anyone can bring one. */
export interface RewardScorer {
  /** Lets the interface evolve while old packages keep working. */
  readonly specificationVersion: "v1";
  readonly name: string;
  /**
   * One score per request, in order; higher is better; `null` means "does not apply". A score depends on its own request
   * alone, whatever else is in the batch.
   */
  score(requests: readonly RewardRequest[]): Promise<readonly (number | null)[]>;
  /** Frees what the scorer holds; it is not asked again afterwards. */
  dispose?(): Promise<void>;
}

/**
 * One scorer from several: the sum of weight times score over those that apply (as TRL adds reward functions), `null` where
 * none does. Disposing it disposes its parts.
 *
 * @throws {InputError} for an empty list or a weight that is not finite
 */
export function weightedSum(parts: readonly (readonly [weight: number, scorer: RewardScorer])[]): RewardScorer {
  if (parts.length === 0) throw new InputError("a weighted sum needs at least one scorer, found none");
  for (const [weight, scorer] of parts) {
    if (!Number.isFinite(weight))
      throw new InputError(`the weight of "${scorer.name}" is ${weight}; expected a finite number`);
  }
  return {
    specificationVersion: "v1",
    name: parts.map(([weight, scorer]) => `${weight} * ${scorer.name}`).join(" + "),
    async score(requests) {
      const columns = await Promise.all(parts.map(([, scorer]) => checkedScores(scorer, requests)));
      return requests.map((_, row) => {
        let sum: number | null = null;
        for (const [column, [weight]] of parts.entries()) {
          const score = columns[column]?.[row] ?? null;
          if (score !== null) sum = (sum ?? 0) + weight * score;
        }
        return sum;
      });
    },
    async dispose() {
      await Promise.all([...new Set(parts.map(([, scorer]) => scorer))].map(async (scorer) => scorer.dispose?.()));
    },
  };
}

/** The scorer's answer, after a check that it is one finite number or null for each request. */
async function checkedScores(
  scorer: RewardScorer,
  requests: readonly RewardRequest[],
): Promise<readonly (number | null)[]> {
  const scores = await scorer.score(requests);
  if (scores.length !== requests.length) {
    throw new MedgptError(
      `reward scorer "${scorer.name}" gave ${scores.length} scores for ${requests.length} requests`,
    );
  }
  const bad = scores.findIndex((score) => score !== null && !Number.isFinite(score));
  if (bad >= 0)
    throw new MedgptError(
      `reward scorer "${scorer.name}" gave ${scores[bad]} for request ${bad}; expected a finite number or null`,
    );
  return scores;
}
