/** Types of value that several flags have. */
import { z } from "zod";

export const path = z.string();
/** When something is done in training. */
export const strategy = z.enum(["no", "steps", "epoch"]);
export const seed = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
/** A number of steps or, below 1, a fraction of the run. */
export const steps = wholeOrFraction(z.number().gt(0));
/** The same, or 0. */
export const stepsOrNone = wholeOrFraction(z.number().min(0));
export const fraction = z.number().min(0).max(1);
/** A share that is never the whole. */
export const dropout = z.number().min(0).lt(1);

function wholeOrFraction(type: z.ZodNumber): z.ZodNumber {
  return type.refine((value) => value < 1 || Number.isInteger(value), {
    error: "expected a whole number of steps, or a fraction of the run below 1",
  });
}
