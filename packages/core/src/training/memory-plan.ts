/** How many layers to recompute so that a training step fits into memory. */
import { totalmem } from "node:os";
import type { CausalLm } from "../models/causal-lm.js";
import type { DecoderOptions } from "../nn/decoder.js";

export interface StepShape {
  readonly options: DecoderOptions;
  /** Tokens of a micro-batch. */
  readonly tokens: number;
  /** Bytes of an activation: 2 in bf16, 4 in f32. */
  readonly bytes: 2 | 4;
  /** Ranks of a layer's adapters, summed; 0 without. */
  readonly ranks: number;
}

export interface MemoryPlan {
  /** Layers, from the first on, that are recomputed in the backward pass. */
  readonly recomputed: number;
  /** Bytes the step is expected to need with that. */
  readonly expected: number;
}

/**
 * Bytes that a layer keeps for its backward pass: the inputs of its norms (two of the residual stream, the others where
 * there are any), queries, keys and values, the attention's output and log-sum-exp, the MLP's projections, norm
 * statistics and the adapters' inner products.
 */
export function keptByLayer({ options, tokens, bytes, ranks }: StepShape): number {
  const { hiddenSize, heads, kvHeads, headDim, mlp, attention, attentionNorm, mlpNorm } = options;
  const headNorms = "packed" in attention || attention.qNorm === undefined ? 0 : heads + kvHeads;
  const norms = 2 + [attentionNorm.after, mlpNorm.after].filter((name) => name !== undefined).length;
  const inner = mlp.up.out * (mlp.gate === undefined ? 1 : 2);
  const activations = norms * hiddenSize + (2 * heads + 2 * kvHeads + headNorms) * headDim + inner;
  const statistics = heads + norms * (options.norm.kind === "rms" ? 1 : 2) + headNorms + ranks;
  return tokens * (bytes * activations + 4 * statistics);
}

/** Bytes alive only inside one layer's passes and the loss: the residual stream and its gradients, the MLP's, the head's. */
function transient({ options, tokens, bytes }: StepShape): number {
  const { hiddenSize, mlp } = options;
  return tokens * (5 * 4 * hiddenSize + 5 * bytes * mlp.up.out) + (64 << 20);
}

/** @param available bytes for activations: the limit less weights, optimizer and the process itself */
export function planMemory(shape: StepShape, available: number, mode: boolean | "full"): MemoryPlan {
  const { layers, hiddenSize } = shape.options;
  const kept = keptByLayer(shape);
  // A recomputed layer keeps its input alone, in f32, and while its turn lasts all that a layer keeps.
  const boundary = 4 * shape.tokens * hiddenSize;
  const expected = (recomputed: number): number =>
    (layers - recomputed) * kept + recomputed * boundary + (recomputed > 0 ? kept : 0) + transient(shape);
  let recomputed = mode === "full" ? layers : 0;
  if (mode === true) while (recomputed < layers && expected(recomputed) > available) recomputed++;
  return { recomputed, expected: expected(recomputed) };
}

export interface RecomputationFlags {
  readonly gradient_checkpointing: boolean | "full";
  /** GiB; null is 80 % of what the machine gives this process. */
  readonly max_memory: number | null;
}

/**
 * Decides how many layers to recompute, and says what was chosen and what it costs.
 * @param tokens of the largest micro-batch
 */
export function chooseRecomputation(
  model: CausalLm,
  flags: RecomputationFlags,
  tokens: number,
  say: (text: string) => void,
): number {
  const mode = flags.gradient_checkpointing;
  if (mode === false) return 0;
  const limit =
    flags.max_memory === null
      ? 0.8 * Math.min(totalmem(), process.constrainedMemory() || Infinity)
      : flags.max_memory * 2 ** 30;
  const trained = 16 * (model.arena?.values.size ?? 0); // values, gradients, two moments
  const held = process.memoryUsage.rss() + model.checkpoint.totalBytes + trained;
  const { options } = model;
  const { recomputed, expected } = planMemory(
    { options, tokens, bytes: model.compute === "bf16" ? 2 : 4, ranks: model.adapterRanks },
    limit - held,
    mode,
  );
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  // A step is a forward pass and a backward pass of about twice its work.
  const cost =
    recomputed === 0
      ? "no layer is recomputed"
      : `recomputing ${recomputed} of ${options.layers} layers, about ${Math.round((33 * recomputed) / options.layers)} % more time`;
  say(`gradient checkpointing: ${cost}; a step needs about ${gib(held + expected)} of ${gib(limit)}`);
  if (held + expected > limit && mode === true)
    say("that is more than the limit even so: lower --per_device_train_batch_size or the length of the rows");
  return recomputed;
}
