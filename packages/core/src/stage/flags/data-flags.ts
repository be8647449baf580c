/** Which rows are trained on and which evaluate. */
import { z } from "zod";
import { flag, topic } from "../../config/schema.js";
import { path } from "./values.js";

export const dataFlags = topic("Data", {
  train_file_dir: flag(path.nullable(), { default: null, help: "A folder of data to train on." }),
  validation_file_dir: flag(path.nullable(), {
    default: null,
    help: "The same for evaluation; without it the first documents of the training data are set aside.",
  }),
  validation_split_percentage: flag(z.int().min(1).max(99), {
    default: 1,
    help: "The share of the documents set aside for evaluation, in percent.",
  }),
  max_train_samples: flag(z.int().min(-1).nullable(), {
    default: null,
    help: "Train on the first so many rows; None, 0 or -1 for all.",
  }),
  max_eval_samples: flag(z.int().min(-1).nullable(), {
    default: null,
    help: "Evaluate on the first so many rows; None, 0 or -1 for all.",
  }),
  cache_dir: flag(path.nullable(), {
    default: null,
    help: "The folder for the cache of tokenised text; by default medgpt/tokens in the user's cache folder.",
  }),
  overwrite_cache: flag(z.boolean(), { default: false, help: "Tokenise again, even if the cache has the text." }),
  dataset_name: flag(z.string().nullable(), {
    default: null,
    help: "In place of train_file_dir: a data set on the hub, such as owner/name, or its folder; its splits train and validation are used.",
  }),
  dataset_config_name: flag(z.string().nullable(), {
    default: null,
    help: "Which of the data set's configurations, where it has several.",
  }),
});
