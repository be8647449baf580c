/** In which precision a step computes, and in how much memory. */
import { z } from "zod";
import { torchDtype } from "../../config/precision.js";
import { flag, topic } from "../../config/schema.js";

export const precisionFlags = topic("Precision and memory", {
  fp16: flag(z.boolean(), {
    default: false,
    help: "Compute in half precision: bfloat16 where the backend has it, else float32, as the run then says.",
  }),
  bf16: flag(z.boolean(), { default: false, help: "Compute in bfloat16 where the backend has it, else in float32." }),
  torch_dtype: flag(torchDtype.nullable(), {
    default: null,
    help: "bfloat16 and float16 ask for half precision as bf16 and fp16 do; the others leave it to these two.",
  }),
  gradient_checkpointing: flag(z.union([z.boolean(), z.literal("full")]), {
    default: false,
    alias: ["activation_checkpointing"],
    help: "Recompute as many layers in the backward pass as --max_memory demands, none if all fits; `full` all of them. The result is the same.",
  }),
  max_memory: flag(z.number().gt(0).nullable(), {
    default: null,
    help: "GiB of memory that the run may take: a run that clearly needs more is refused, and --gradient_checkpointing plans with it; by default what the machine has (for the plan 80 % of it).",
  }),
});
