import { z } from "zod";
import { accepted, refused, topic } from "../../config/schema.js";

const NO_LOADER = "rows are read as they are needed, without a loader";

/** True of a stage that trains on rows of tokens, whose labels are the tokens, and evaluates by their loss. */
export const rowCompat = {
  ...topic("Data", {
    preprocessing_num_workers: accepted(z.int().min(1).nullable(), {
      default: null,
      because: "text is tokenised on all cores",
    }),
  }),
  ...topic("Training", {
    do_predict: accepted(z.boolean(), { default: false, because: "this stage has no prediction phase" }),
    group_by_length: refused(z.boolean(), {
      default: false,
      why: "batches have no padding, so there is nothing to save by sorting rows; leave it out",
    }),
    dataloader_drop_last: refused(z.boolean(), { default: false, why: "the last, smaller batch is always trained on" }),
    ignore_data_skip: refused(z.boolean(), {
      default: false,
      why: "a resumed run goes on in the data where it stopped",
    }),
    auto_find_batch_size: refused(z.boolean(), {
      default: false,
      why: "the batch size is not searched for; lower --per_device_train_batch_size",
    }),
  }),
  ...topic("Optimizer", {
    label_smoothing_factor: refused(z.number(), { default: 0, why: "the loss is plain cross entropy; leave it out" }),
  }),
  ...topic("Precision and memory", {
    fp16_full_eval: accepted(z.boolean(), { default: false, because: "evaluation computes as training does" }),
    bf16_full_eval: accepted(z.boolean(), { default: false, because: "evaluation computes as training does" }),
    use_cache: accepted(z.boolean(), { default: false, because: "training keeps no cache of keys and values" }),
  }),
  ...topic("Logging", {
    logging_nan_inf_filter: accepted(z.boolean(), { default: true, because: "a loss that is not finite ends the run" }),
  }),
  ...topic("Evaluation", {
    prediction_loss_only: accepted(z.boolean(), { default: false, because: "accuracy costs nothing beside the loss" }),
    eval_accumulation_steps: accepted(z.int().nullable(), { default: null, because: "predictions are not kept" }),
    eval_do_concat_batches: accepted(z.boolean(), { default: true, because: "predictions are not kept" }),
    batch_eval_metrics: accepted(z.boolean(), { default: false, because: "metrics are summed batch by batch" }),
    include_for_metrics: accepted(z.array(z.string()), { default: [], because: "the metrics need nothing more" }),
    eval_delay: refused(z.number(), { default: 0, why: "evaluation during training starts at once; leave it out" }),
  }),
  ...topic("Processes and devices", {
    dataloader_num_workers: accepted(z.int().min(0), { default: 0, because: NO_LOADER }),
    dataloader_pin_memory: accepted(z.boolean(), { default: true, because: NO_LOADER }),
    dataloader_persistent_workers: accepted(z.boolean(), { default: false, because: NO_LOADER }),
    dataloader_prefetch_factor: accepted(z.int().nullable(), { default: null, because: NO_LOADER }),
    dataloader_multiprocessing_context: accepted(z.string().nullable(), { default: null, because: NO_LOADER }),
    dataloader_in_order: accepted(z.boolean(), { default: true, because: NO_LOADER }),
    remove_unused_columns: accepted(z.boolean(), { default: true, because: "only the columns of the stage are read" }),
    label_names: accepted(z.array(z.string()).nullable(), { default: null, because: "the labels are the tokens" }),
    length_column_name: accepted(z.string(), { default: "length", because: "rows are not sorted by length" }),
  }),
};
