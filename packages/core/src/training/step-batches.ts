/** The micro-batches of one optimizer step after the other, from rows by number or from a stream. */
import { InputError } from "@medgpt/artifacts";
import { epochOrder } from "../data/order/sampler.js";
import { oneProcess, type Communicator } from "../run/communicator.js";
import type { TrainingArguments } from "./training-arguments.js";

/** Rows by their numbers, and how micro-batches are made of them. */
export interface Rows<B> {
  readonly rows: number;
  readonly batch: (indices: readonly number[]) => B | Promise<B>;
}

/** The micro-batches that this process has in a step; none where there were fewer rows than processes. */
export interface StepBatch<B> {
  readonly micro: readonly B[];
  /** Epochs done after this step, as the log gives them. */
  readonly epoch: number;
  readonly endsEpoch: boolean;
}

export interface StepBatches<B> {
  /** Steps of the run, and the epochs that they take. */
  readonly maxSteps: number;
  readonly epochs: number;
  /** @param step from 0; each call gives what follows that of the call before */
  next(step: number): Promise<StepBatch<B>>;
  /** What a checkpoint keeps of the place in the data; undefined where the step says it all. */
  state(): unknown;
  /** Goes on from a checkpoint's place. */
  restore(state: unknown): Promise<void>;
}

/** Batches whose number is not known beforehand. */
export interface BatchStream<B> {
  /** The next batch: `rows` rows, or at the end of a pass fewer, but at least one. */
  next(rows: number): Promise<{
    readonly batch: B;
    /** The pass over the data that it belongs to, from 0. */
    readonly pass: number;
    /** Whether it is the last of its pass. */
    readonly endsPass: boolean;
  }>;
  /** The place reached, for JSON. */
  state(): unknown;
  /** @throws InputError for what `state` did not give, or not with these data */
  restore(state: unknown): Promise<void>;
}

type StepArguments = Pick<
  TrainingArguments,
  | ("num_train_epochs" | "max_steps" | "per_device_train_batch_size" | "gradient_accumulation_steps")
  | ("train_sampling_strategy" | "seed" | "data_seed")
>;

/** Each epoch takes the rows in an order of its own, dealt out to the processes in turn; its last step may be shorter. */
export function batchesOfRows<B>(
  { rows, batch }: Rows<B>,
  args: StepArguments,
  { rank, size: processes }: Communicator = oneProcess,
): StepBatches<B> {
  const { per_device_train_batch_size: size, gradient_accumulation_steps: accumulation } = args;
  const { train_sampling_strategy: strategy, seed, data_seed } = args;
  const batches = Math.ceil(rows / (size * processes));
  const perEpoch = Math.ceil(batches / accumulation);
  let epoch = -1;
  let order: Int32Array = new Int32Array();
  return {
    maxSteps: args.max_steps > 0 ? args.max_steps : Math.ceil(args.num_train_epochs * perEpoch),
    epochs: Math.ceil(args.max_steps > 0 ? args.max_steps / perEpoch : args.num_train_epochs),
    async next(step) {
      if (epoch !== Math.floor(step / perEpoch)) {
        epoch = Math.floor(step / perEpoch);
        const all = epochOrder(rows, { seed: data_seed ?? seed, epoch, strategy });
        order = all.filter((_, index) => index % processes === rank);
      }
      const first = (step % perEpoch) * accumulation;
      const last = Math.min(first + accumulation, batches);
      const micro: B[] = [];
      for (let from = first * size; from < Math.min(last * size, order.length); from += size)
        micro.push(await batch([...order.subarray(from, from + size)]));
      return { micro, epoch: epoch + last / batches, endsEpoch: last === batches };
    },
    state: () => undefined,
    restore: (state) =>
      state === undefined
        ? Promise.resolve()
        : Promise.reject(new InputError("was saved with --streaming True, and goes on only with it")),
  };
}

/**
 * max_steps steps from a stream. As in transformers, an epoch is a pass over the stream, and is counted as if the whole run
 * fitted into it; a step that a pass ends in is shorter. Each process reads the whole stream and keeps its share of batches.
 */
export function batchesOfStream<B>(
  stream: BatchStream<B>,
  { per_device_train_batch_size: size, gradient_accumulation_steps, max_steps: maxSteps }: StepArguments,
  { rank, size: processes }: Communicator = oneProcess,
): StepBatches<B> {
  if (maxSteps <= 0)
    throw new InputError("--streaming needs --max_steps: how much text there is is not known beforehand");
  const perStep = gradient_accumulation_steps * processes;
  let batches = 0; // of this pass
  return {
    maxSteps,
    epochs: Number.MAX_SAFE_INTEGER, // transformers' sys.maxsize, as far as a number goes
    async next() {
      const micro: B[] = [];
      let [epoch, endsEpoch] = [0, false];
      for (let index = 0; index < perStep && !endsEpoch; index++) {
        const { batch, pass, endsPass } = await stream.next(size);
        if (index % processes === rank) micro.push(batch);
        epoch = pass + ++batches / (maxSteps * perStep);
        endsEpoch = endsPass;
      }
      if (endsEpoch) batches = 0;
      return { micro, epoch, endsEpoch };
    },
    state: () => ({ batches, stream: stream.state() }),
    async restore(state) {
      const { batches: before, stream: place } = (state ?? {}) as { batches?: unknown; stream?: unknown };
      if (!Number.isSafeInteger(before))
        throw new InputError("was saved without --streaming True, and goes on only without it");
      await stream.restore(place);
      batches = before as number;
    },
  };
}
