/** What a training run needs of memory, and how many layers to recompute so that it fits. */
import { InputError } from "@medgpt/artifacts";
import { machineMemory } from "../run/machine-memory.js";
import type { CausalLm } from "../models/role.js";
import type { DecoderOptions } from "../nn/decoder.js";
import { bytes, count } from "../run/figures.js";

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

/** A micro-batch: of how many rows, with how many tokens in all. */
export interface MicroBatch {
  readonly rows: number;
  readonly tokens: number;
}

export interface MemoryTask {
  readonly gradient_checkpointing: boolean | "full";
  /** GiB that the user lets the run have; null is what the machine has, of which recomputation is planned with 80 %. */
  readonly max_memory: number | null;
  /** Elements that are trained. */
  readonly trained: number;
  /** The largest micro-batches of training and of evaluation. */
  readonly train: MicroBatch;
  readonly evaluation: MicroBatch;
  /** The flag that says how long rows may be. */
  readonly lengthFlag: string;
}

/** Bytes of a run, by what they are for. */
export interface MemoryNeed {
  /** Weights that stay in their file, of which the system may drop parts and read them again. */
  readonly mapped: number;
  readonly weights: number;
  /** What is trained, with gradients and the optimizer's two moments. */
  readonly trained: number;
  readonly activations: number;
  /** The program itself, with its tokenizer. */
  readonly program: number;
  readonly recomputed: number;
}

/** The code of Node.js and of the native library, and their threads. */
const PROGRAM = 64 << 20;
/** How far the estimate may be off either way. Measured runs are within 10 %, but not every model was measured. */
const MARGIN = 0.15;

/**
 * What the run needs, with as many layers recomputed as its flags ask for.
 * @param available bytes that gradient checkpointing plans with
 */
export function estimateMemory(model: CausalLm, task: MemoryTask, available: number): MemoryNeed {
  const { backend, base, options } = model;
  const inJs = backend.name === "js";
  const everything = model.adapterRanks === 0 && task.trained > 0;
  const size = everything ? 0 : inJs ? 4 * base.parameterCount : base.checkpoint.totalBytes;
  const trained = 16 * task.trained;
  const { heapTotal, external } = process.memoryUsage();
  const program = PROGRAM + heapTotal + external - (inJs ? Math.min(external, backend.memory().liveBytes) : 0);
  const shape = ({ tokens }: MicroBatch): StepShape => {
    return { options, tokens, bytes: model.compute === "bf16" ? 2 : 4, ranks: model.adapterRanks };
  };
  const left = available - size - trained - program;
  const { recomputed, expected } = planMemory(shape(task.train), left, task.gradient_checkpointing);
  return {
    mapped: inJs ? 0 : size,
    weights: inJs ? size : 0,
    trained,
    activations: Math.max(expected, transient(shape(task.evaluation))),
    program,
    recomputed,
  };
}

const sum = ({ mapped, weights, trained, activations, program }: MemoryNeed): number =>
  mapped + weights + trained + activations + program;

/**
 * Decides how many layers to recompute, says what the run needs of memory, and refuses what clearly does not fit.
 * @returns the number of layers, from the first on, to recompute in the backward pass
 * @throws InputError where the run needs clearly more than max_memory, or without that flag than the machine has
 */
export function planTraining(
  model: CausalLm,
  task: MemoryTask,
  say: (text: string, level?: "info" | "warn") => void,
  machine = machineMemory(),
): number {
  const given = task.max_memory === null ? undefined : task.max_memory * 2 ** 30;
  const need = estimateMemory(model, task, given ?? 0.8 * machine);
  const { rows, tokens } = task.train;
  const trained = model.adapterRanks > 0 ? "adapter and optimizer" : "trained weights and optimizer";
  const parts = [
    ...(need.mapped + need.weights > 0 ? [`model ${bytes(need.mapped + need.weights)}`] : []),
    `${trained} ${bytes(need.trained)}`,
    `activations of a step ${bytes(need.activations)} (${count(rows)} rows, ${count(tokens)} tokens)`,
    `program ${bytes(need.program)}`,
  ];
  const limit = given === undefined ? `this machine has ${bytes(machine)}` : `--max_memory allows ${bytes(given)}`;
  say(`memory: about ${bytes(sum(need))} needed: ${parts.join(", ")}; ${limit}`);
  if (task.gradient_checkpointing !== false) say(costOf(need.recomputed, model.options.layers));

  const most = given ?? machine;
  // Without the mapped weights a run is slow; without the rest it is killed.
  if ((sum(need) - need.mapped) * (1 - MARGIN) > most)
    throw new InputError(
      `the run needs about ${bytes(sum(need))} of memory, and ${limit}; ${adviceFor(model, task, need, most)}; to go on all the same, give --max_memory ${Math.ceil(sum(need) / 2 ** 30)}`,
    );
  if (sum(need) > most)
    say(
      `the run may need more memory than there is: it may become slow, or be stopped by the system; ${adviceFor(model, task, need, most)}`,
      "warn",
    );
  return need.recomputed;
}

function costOf(recomputed: number, layers: number): string {
  // A step is a forward pass and a backward pass of about twice its work.
  const cost =
    recomputed === 0
      ? "no layer is recomputed"
      : `recomputing ${recomputed} of ${layers} layers, about ${Math.round((33 * recomputed) / layers)} % more time`;
  return `gradient checkpointing: ${cost}`;
}

/** What to change so that the run fits into so many bytes. */
function adviceFor(model: CausalLm, task: MemoryTask, need: MemoryNeed, most: number): string {
  const advice: string[] = [];
  const fits = (change: Partial<MemoryTask>): boolean =>
    sum(estimateMemory(model, { ...task, ...change }, most)) <= most;
  const part = (batch: MicroBatch, rows: number): MicroBatch => {
    return { rows, tokens: Math.ceil((batch.tokens * rows) / Math.max(1, batch.rows)) };
  };
  if (need.activations > most / 10) {
    const { train, evaluation } = task;
    const smaller = (rows: number): Partial<MemoryTask> => ({
      train: part(train, Math.min(rows, train.rows)),
      evaluation: part(evaluation, Math.min(rows, evaluation.rows)),
    });
    let rows = Math.max(train.rows, evaluation.rows);
    while (rows > 0 && !fits(smaller(rows))) rows = Math.floor(rows / 2);
    const value = rows === 0 ? "" : ` (${rows} would fit)`;
    if (train.rows > 1) advice.push(`a smaller --per_device_train_batch_size${value}`);
    if (evaluation.rows > train.rows) advice.push(`a smaller --per_device_eval_batch_size${value}`);
    advice.push(`a smaller --${task.lengthFlag}`);
    if (task.gradient_checkpointing === false) advice.push("--gradient_checkpointing True");
  }
  if (model.adapterRanks === 0) advice.push("--use_peft True, which trains an adapter in place of every weight");
  else if (need.trained > most / 10) advice.push("a smaller --lora_rank");
  return advice.length === 0 ? "take a smaller model" : `give ${advice.join(", or ")}`;
}
