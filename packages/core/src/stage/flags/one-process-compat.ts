import { z } from "zod";
import { accepted, refused, topic } from "../../config/schema.js";

const ONE_PROCESS = "training runs in one process";

/** True of a stage that trains in one process. */
export const oneProcessCompat = {
  ...topic("Logging", {
    log_level_replica: accepted(z.string(), { default: "warning", because: ONE_PROCESS }),
    log_on_each_node: accepted(z.boolean(), { default: true, because: ONE_PROCESS }),
  }),
  ...topic("Evaluation", {
    eval_use_gather_object: accepted(z.boolean(), { default: false, because: ONE_PROCESS }),
  }),
  ...topic("Saving", {
    save_on_each_node: accepted(z.boolean(), { default: false, because: ONE_PROCESS }),
  }),
  ...topic("Processes and devices", {
    nproc_per_node: refused(z.int(), { default: 1, why: `${ONE_PROCESS} and uses every core; leave it out` }),
    nnodes: refused(z.int(), { default: 1, why: `${ONE_PROCESS} on one machine; leave it out` }),
    deepspeed: refused(z.string().nullable(), { default: null, why: `${ONE_PROCESS}, which nothing is sharded over` }),
    fsdp: refused(z.string().nullable(), { default: null, why: `${ONE_PROCESS}, which nothing is sharded over` }),
    fsdp_config: refused(z.string().nullable(), {
      default: null,
      why: `${ONE_PROCESS}, which nothing is sharded over`,
    }),
    local_rank: refused(z.int(), { default: -1, asks: (rank) => rank > 0, why: ONE_PROCESS }),
    ddp_timeout: accepted(z.int(), { default: 1800, because: ONE_PROCESS }),
    ddp_backend: accepted(z.string().nullable(), { default: null, because: ONE_PROCESS }),
    ddp_find_unused_parameters: accepted(z.boolean().nullable(), { default: null, because: ONE_PROCESS }),
    ddp_bucket_cap_mb: accepted(z.int().nullable(), { default: null, because: ONE_PROCESS }),
    ddp_broadcast_buffers: accepted(z.boolean().nullable(), { default: null, because: ONE_PROCESS }),
    ddp_static_graph: accepted(z.boolean().nullable(), { default: null, because: ONE_PROCESS }),
    average_tokens_across_devices: accepted(z.boolean(), { default: true, because: ONE_PROCESS }),
    accelerator_config: accepted(z.string().nullable(), { default: null, because: ONE_PROCESS }),
  }),
};
