import type { Command } from "@medgpt/core/config";

import { listSchema } from "./config.js";
import { runList } from "./list.js";

/** `medgpt data list`. */
export const command: Command<typeof listSchema> = {
  name: "data list",
  summary: "List the data sets that can be pulled, with their licences.",
  config: listSchema,
  run: (_config, context) => runList(context),
};
