/** The windows of a run: the micro-batches of one optimizer step after the other, from rows by number or from a stream. */
import { InputError } from "@medgpt/artifacts";
import { epochOrder } from "../data/order/sampler.js";
import type { Batch } from "../data/packing/batch.js";

export interface Window {
  readonly micro: readonly Batch[];
  /** Epochs done after this window, as the log gives them. */
  readonly epoch: number;
  readonly endsEpoch: boolean;
}

export interface Windows {
  /** Steps of the run, and the epochs that they take. */
  readonly maxSteps: number;
  readonly epochs: number;
  /** @param step from 0; each call gives the window after that of the call before */
  next(step: number): Promise<Window>;
  /** What a checkpoint keeps of the place in the data; undefined where the step says it all. */
  state(): unknown;
  /** Goes on from a checkpoint's place. */
  restore(state: unknown): Promise<void>;
}

/** Batches whose number is not known beforehand. */
export interface BatchStream {
  /** The next batch: `rows` rows, or at the end of a pass fewer, but at least one. */
  next(rows: number): Promise<{
    readonly batch: Batch;
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

interface WindowArguments {
  readonly num_train_epochs: number;
  readonly max_steps: number;
  readonly per_device_train_batch_size: number;
  readonly gradient_accumulation_steps: number;
  readonly train_sampling_strategy: "random" | "sequential";
}

/** Each epoch takes the rows in an order of its own; its last window may be shorter. */
export function windowsOfRows(
  task: { readonly rows: number; readonly batch: (indices: readonly number[]) => Batch | Promise<Batch> },
  args: WindowArguments,
  seed: number,
): Windows {
  const { per_device_train_batch_size: size, gradient_accumulation_steps: accumulation } = args;
  const batches = Math.ceil(task.rows / size);
  const perEpoch = Math.ceil(batches / accumulation);
  let epoch = -1;
  let order: Int32Array = new Int32Array();
  return {
    maxSteps: args.max_steps > 0 ? args.max_steps : Math.ceil(args.num_train_epochs * perEpoch),
    epochs: Math.ceil(args.max_steps > 0 ? args.max_steps / perEpoch : args.num_train_epochs),
    async next(step) {
      if (epoch !== Math.floor(step / perEpoch)) {
        epoch = Math.floor(step / perEpoch);
        order = epochOrder(task.rows, { seed, epoch, strategy: args.train_sampling_strategy });
      }
      const window = step % perEpoch;
      const last = Math.min((window + 1) * accumulation, batches);
      const micro: Batch[] = [];
      for (let index = window * accumulation; index < last; index++)
        micro.push(await task.batch([...order.subarray(index * size, (index + 1) * size)]));
      return { micro, epoch: epoch + last / batches, endsEpoch: window + 1 === perEpoch };
    },
    state: () => undefined,
    restore: (state) =>
      state === undefined
        ? Promise.resolve()
        : Promise.reject(new InputError("was saved with --streaming True, and goes on only with it")),
  };
}

/**
 * max_steps windows from a stream. As in transformers, an epoch is a pass over the stream, and is counted as if the whole run
 * fitted into it; a window that a pass ends in is shorter.
 */
export function windowsOfStream(stream: BatchStream, args: WindowArguments): Windows {
  const { per_device_train_batch_size: size, gradient_accumulation_steps: accumulation, max_steps: maxSteps } = args;
  if (maxSteps <= 0)
    throw new InputError("--streaming needs --max_steps: how much text there is is not known beforehand");
  let batches = 0; // of this pass
  return {
    maxSteps,
    epochs: Number.MAX_SAFE_INTEGER, // transformers' sys.maxsize, as far as a number goes
    async next() {
      const micro: Batch[] = [];
      let [epoch, endsEpoch] = [0, false];
      while (micro.length < accumulation && !endsEpoch) {
        const { batch, pass, endsPass } = await stream.next(size);
        micro.push(batch);
        epoch = pass + ++batches / (maxSteps * accumulation);
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
