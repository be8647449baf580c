import { z } from "zod";
import { accepted, topic } from "../../config/schema.js";

const NO_GENERATION = "this stage generates no text";

/** True of a stage that generates no text. */
export const noGenerationCompat = {
  ...topic("Evaluation", {
    predict_with_generate: accepted(z.boolean(), { default: false, because: NO_GENERATION }),
    generation_max_length: accepted(z.int().nullable(), { default: null, because: NO_GENERATION }),
    generation_num_beams: accepted(z.int().nullable(), { default: null, because: NO_GENERATION }),
    generation_config: accepted(z.string().nullable(), { default: null, because: NO_GENERATION }),
    sortish_sampler: accepted(z.boolean(), { default: false, because: NO_GENERATION }),
  }),
};
