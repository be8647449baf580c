/** Learning-rate schedules with the names, formulas and keyword arguments of transformers' optimization.py. */
import { InputError } from "@medgpt/artifacts";

export const SCHEDULES = [
  "linear",
  "cosine",
  "cosine_with_restarts",
  "polynomial",
  "constant",
  "constant_with_warmup",
  "inverse_sqrt",
  "cosine_with_min_lr",
  "warmup_stable_decay",
] as const;
export type ScheduleName = (typeof SCHEDULES)[number];

export interface ScheduleOptions {
  readonly type: ScheduleName;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
  /** lr_scheduler_kwargs: num_cycles, power, lr_end, timescale, min_lr, min_lr_rate, num_decay_steps, min_lr_ratio. */
  readonly kwargs?: Readonly<Record<string, number>>;
}

const KWARGS: Readonly<Record<ScheduleName, readonly string[]>> = {
  linear: [],
  cosine: ["num_cycles"],
  cosine_with_restarts: ["num_cycles"],
  polynomial: ["lr_end", "power"],
  constant: [],
  constant_with_warmup: [],
  inverse_sqrt: ["timescale"],
  cosine_with_min_lr: ["num_cycles", "min_lr", "min_lr_rate"],
  warmup_stable_decay: ["num_decay_steps", "num_stable_steps", "min_lr_ratio", "num_cycles"],
};

/**
 * The learning rate that optimizer step `step` (0-based) uses. With warm-up the first step uses 0.
 * @throws InputError for a keyword argument that the schedule does not have
 */
export function createSchedule({
  type,
  learningRate,
  warmupSteps: warmup,
  totalSteps: total,
  kwargs = {},
}: ScheduleOptions): (step: number) => number {
  for (const key of Object.keys(kwargs))
    if (!KWARGS[type].includes(key))
      throw new InputError(
        `lr_scheduler_kwargs: the ${type} schedule has no "${key}"; it takes ${KWARGS[type].join(", ") || "none"}`,
      );
  const after = (step: number) => (step - warmup) / Math.max(1, total - warmup);
  const halfCosine = (progress: number, cycles: number) =>
    Math.max(0, 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * progress)));
  const decay = ((): ((step: number) => number) => {
    switch (type) {
      case "constant":
      case "constant_with_warmup":
        return () => 1;
      case "linear":
        return (step) => Math.max(0, (total - step) / Math.max(1, total - warmup));
      case "cosine":
        return (step) => halfCosine(after(step), kwargs.num_cycles ?? 0.5);
      case "cosine_with_restarts":
        return (step) => {
          const progress = after(step);
          return progress >= 1 ? 0 : halfCosine(((kwargs.num_cycles ?? 1) * progress) % 1, 0.5);
        };
      case "polynomial": {
        const { lr_end: end = 1e-7, power = 1 } = kwargs;
        if (end >= learningRate)
          throw new InputError(`lr_scheduler_kwargs: lr_end ${end} must be below learning_rate ${learningRate}`);
        return (step) =>
          step > total ? end / learningRate : ((learningRate - end) * (1 - after(step)) ** power + end) / learningRate;
      }
      case "inverse_sqrt": {
        const timescale = kwargs.timescale ?? (warmup || 10_000);
        return (step) => 1 / Math.sqrt((step + timescale - warmup) / timescale);
      }
      case "cosine_with_min_lr": {
        const floor = kwargs.min_lr_rate ?? (kwargs.min_lr === undefined ? undefined : kwargs.min_lr / learningRate);
        if (floor === undefined)
          throw new InputError('lr_scheduler_kwargs: cosine_with_min_lr needs "min_lr" or "min_lr_rate"');
        return (step) => {
          const factor = 0.5 * (1 + Math.cos(Math.PI * (kwargs.num_cycles ?? 0.5) * 2 * after(step)));
          return Math.max(0, factor * (1 - floor) + floor);
        };
      }
      case "warmup_stable_decay": {
        const { num_decay_steps: decaySteps, min_lr_ratio: floor = 0, num_cycles: cycles = 0.5 } = kwargs;
        if (decaySteps === undefined)
          throw new InputError('lr_scheduler_kwargs: warmup_stable_decay needs "num_decay_steps"');
        const stable = kwargs.num_stable_steps ?? total - warmup - decaySteps;
        return (step) => {
          if (step < warmup + stable) return 1;
          if (step >= warmup + stable + decaySteps) return floor;
          const progress = (step - warmup - stable) / Math.max(1, decaySteps);
          return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * progress)) * (1 - floor) + floor);
        };
      }
      default:
        return type satisfies never;
    }
  })();
  const warms = type !== "constant";
  return (step) => learningRate * (warms && step < warmup ? step / Math.max(1, warmup) : decay(step));
}

/** Number of warm-up steps: a whole number as it is, a fraction below 1 of the total, rounded up. */
export function warmupSteps(steps: number, ratio: number, total: number): number {
  if (steps >= 1) return Math.floor(steps);
  return Math.ceil(total * (steps > 0 ? steps : ratio));
}
