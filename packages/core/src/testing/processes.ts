import type { Communicator } from "../run/communicator.js";

/** Communicators of processes that are all in this one. */
export function processes(size: number): Communicator[] {
  let waiting: { values: Float32Array | Float64Array; rank: number; go: () => void }[] = [];
  /** Waits for the others; then `combine` sees what all have brought, by rank. */
  const meet = (rank: number, values: Float32Array | Float64Array, combine: (all: (typeof values)[]) => void) =>
    new Promise<void>((go) => {
      waiting.push({ values, rank, go });
      if (waiting.length < size) return;
      const all = waiting.sort((a, b) => a.rank - b.rank);
      waiting = [];
      combine(all.map(({ values }) => values));
      for (const { go } of all) go();
    });
  return Array.from({ length: size }, (_, rank) => ({
    ...{ rank, size },
    allReduce: (values) =>
      meet(rank, values, (all) => {
        const sums = all[0]!.map((_, index) => all.reduce((sum, each) => sum + each[index]!, 0));
        for (const each of all) each.set(sums);
      }),
    broadcast: (values) => meet(rank, values, (all) => all.forEach((each) => each.set(all[0]!))),
    barrier: () => meet(rank, new Float32Array(), () => {}),
  }));
}
