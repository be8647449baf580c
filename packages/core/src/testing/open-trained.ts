import type { LoraConfig } from "../checkpoint/lora-config.js";
import { openBase, type Base, type BaseOptions } from "../models/base.js";
import { trainedLm, type CausalLm } from "../models/role.js";
import { WholeWeights } from "../models/whole-weights.js";
import { freshAdapter, openAdapter, type Adapter } from "../nn/adapter.js";
import type { ParameterArena } from "../nn/parameters.js";
import { seededRandom } from "../numeric/seeded-random.js";

export interface Trained<T extends Adapter | WholeWeights> {
  readonly base: Base;
  readonly model: CausalLm;
  readonly arena: ParameterArena;
  readonly trained: T;
}

/**
 * A causal language model that is trained.
 * @param what the folder of an adapter, the configuration of a fresh one, or "all" of the weights
 */
export function openTrained(dir: string, what: "all", options: BaseOptions): Promise<Trained<WholeWeights>>;
export function openTrained(dir: string, what: string | LoraConfig, options: BaseOptions): Promise<Trained<Adapter>>;
export async function openTrained(
  dir: string,
  what: string | LoraConfig,
  options: BaseOptions,
): Promise<Trained<Adapter | WholeWeights>> {
  const base = await openBase(dir, options);
  if (typeof what !== "string") return open(base, freshAdapter(base, what, seededRandom(1)));
  return open(base, what === "all" ? new WholeWeights(base) : await openAdapter(base, what));
}

function open<T extends Adapter | WholeWeights>(base: Base, trained: T): Trained<T> {
  return { base, trained, ...trainedLm(base, trained) };
}
