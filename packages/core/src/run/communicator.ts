/** How the processes of one run exchange numbers. Each process makes the same calls in the same order. */
export interface Communicator {
  /** The number of this process, from 0. Process 0 writes the files. */
  readonly rank: number;
  /** The number of processes. */
  readonly size: number;
  /** Replaces `values` by their sums over all processes, with the same bits in each. */
  allReduce(values: Float32Array | Float64Array): Promise<void>;
  /** Replaces `values` by those of process 0. */
  broadcast(values: Float32Array | Float64Array): Promise<void>;
  /** Waits until every process has called it. */
  barrier(): Promise<void>;
}

const done = (): Promise<void> => Promise.resolve();

/** A run in one process, which has nobody to exchange anything with. */
export const oneProcess: Communicator = { rank: 0, size: 1, allReduce: done, broadcast: done, barrier: done };

/** The sum of each value over all processes. */
export async function sumOver(communicator: Communicator, values: readonly number[]): Promise<number[]> {
  const sums = Float64Array.from(values);
  await communicator.allReduce(sums);
  return [...sums];
}

/** Runs `body` in process 0, and then in the others, which find what that left on the disk. */
export async function inTurn<T>(
  { communicator = oneProcess }: { readonly communicator?: Communicator },
  body: () => Promise<T>,
): Promise<T> {
  if (communicator.rank > 0) await communicator.barrier();
  try {
    return await body();
  } finally {
    if (communicator.rank === 0) await communicator.barrier();
  }
}
