/** What kernels that ran cost: floating-point operations, a trace for chrome://tracing or Perfetto, and a summary. */
import type { KernelEvent } from "./backend.js";

/** Multiplications and additions of a kernel's products, both counted; 0 for kernels that only move memory. */
export function flopsOf({ name, numbers, terms }: KernelEvent): number {
  const n = (key: string): number => numbers[key] ?? 0;
  switch (name) {
    case "matMul":
      return 2 * n("m") * n("n") * terms.reduce((sum, { k }) => sum + k, 0);
    case "attention":
    case "attentionBackward": {
      // Half of the square is masked; segments of equal length are assumed.
      const length = n("rows") / Math.max(1, n("segmentCount"));
      return (name === "attention" ? 2 : 5) * n("rows") * length * n("heads") * n("dim");
    }
    case "loraDown":
      return 2 * n("rows") * n("cols") * n("rank");
    case "loraDownBackward":
      return 2 * n("dA") * n("rows") * n("cols") * n("rank");
    case "loraUpBackward":
      return 2 * (1 + n("dB")) * n("rows") * n("cols") * n("rank");
    case "linearCrossEntropy":
      return (2 + 2 * n("dHidden")) * n("rows") * n("vocab") * n("cols");
    case "linearCrossEntropyWeightBackward":
      return 4 * n("rows") * n("vocab") * n("cols");
    default:
      return 0;
  }
}

/** Sizes that tell calls of a kernel apart in the summary. */
function shapeOf({ name, numbers, terms }: KernelEvent): string {
  if (name === "matMul") return `${numbers["m"]} x ${terms.map(({ k }) => k).join("+")} x ${numbers["n"]}`;
  if (numbers["rows"] === undefined) return String(numbers["count"] ?? "");
  return [numbers["rows"], numbers["cols"] ?? numbers["dim"], numbers["vocab"]]
    .filter((extent) => extent !== undefined)
    .join(" x ");
}

/** Contents of a Chrome trace file. */
export function chromeTrace(events: readonly KernelEvent[], peakGflops?: number): string {
  const traceEvents = events.map((event) => {
    const gflops = flopsOf(event) / event.duration / 1e3;
    const args = {
      shape: shapeOf(event),
      flops: flopsOf(event),
      bytes: event.bytes,
      gflops,
      gigabytesPerSecond: event.bytes / event.duration / 1e3,
      ...(peakGflops === undefined ? {} : { shareOfPeak: gflops / peakGflops }),
    };
    return { name: event.name, ph: "X", ts: event.start, dur: event.duration, pid: 1, tid: 1, args };
  });
  return JSON.stringify({ traceEvents });
}

/** A screen of the calls that took most of the time, grouped by kernel and shape. */
export function profileSummary(events: readonly KernelEvent[], peakGflops?: number): string {
  const groups = new Map<string, { calls: number; micros: number; flops: number; bytes: number }>();
  for (const event of events) {
    const key = `${event.name} ${shapeOf(event)}`;
    const { calls, micros, flops, bytes } = groups.get(key) ?? { calls: 0, micros: 0, flops: 0, bytes: 0 };
    groups.set(key, {
      calls: calls + 1,
      micros: micros + event.duration,
      flops: flops + flopsOf(event),
      bytes: bytes + event.bytes,
    });
  }
  const total = events.reduce((sum, { duration }) => sum + duration, 0);
  const last = events.at(-1);
  const span = last === undefined ? 0 : last.start + last.duration - (events[0]?.start ?? 0);
  const lines = [...groups]
    .sort(([, a], [, b]) => b.micros - a.micros)
    .slice(0, 30)
    .map(([key, { calls, micros, flops, bytes }]) => {
      const gflops = flops / micros / 1e3;
      const rate =
        flops === 0
          ? ""
          : `${gflops.toFixed(0).padStart(6)} GFLOP/s${peakGflops === undefined ? "" : `  ${((100 * gflops) / peakGflops).toFixed(0)} %`}`;
      const moved = `${(bytes / micros / 1e3).toFixed(1).padStart(6)} GB/s`;
      return `${((100 * micros) / total).toFixed(1).padStart(5)} %  ${(micros / 1e3).toFixed(1).padStart(9)} ms  ${String(calls).padStart(5)} x  ${key.padEnd(42)} ${moved} ${rate}`;
    });
  return [
    `${(total / 1e3).toFixed(1)} ms in ${events.length} kernels, ${((100 * total) / Math.max(span, 1)).toFixed(1)} % of ${(span / 1e3).toFixed(1)} ms`,
    ...lines,
  ].join("\n");
}
