/** Rotary positions that are stretched as in the training of an adapter, whose files do not say so. */
import { InputError } from "@medgpt/artifacts";
import { flag, ropeScalingFlag } from "@medgpt/core/config";
import { z } from "zod";

export const ropeFlags = {
  rope_scaling: ropeScalingFlag("Stretch the rotary positions as in the training of the adapter."),
  model_max_length: flag(z.int().min(2).nullable(), {
    default: null,
    help: "The model_max_length of that training, to be given with rope_scaling.",
  }),
};

/** @throws InputError where one of the two flags is given without the other */
export function ropeScalingOf({
  rope_scaling: type,
  model_max_length: maxLength,
}: z.output<z.ZodObject<typeof ropeFlags>>) {
  if (type !== null && maxLength !== null) return { type, maxLength };
  if (type === null && maxLength === null) return undefined;
  throw new InputError(
    "--rope_scaling and --model_max_length go together: give both, as in the training of the adapter",
  );
}
