/** The flags that say how conversations are written, for every command that reads them; each puts them under a topic of its own. */
import { z } from "zod";
import { flag } from "../config/schema.js";
import { PROMPT_TEMPLATES, type TemplateName } from "../tokenizer/prompt-templates.js";
import { TOOL_FORMATS, type ToolFormatName } from "./tool-formats.js";

const templateNames = Object.keys(PROMPT_TEMPLATES) as [TemplateName, ...TemplateName[]];
const toolFormatNames = Object.keys(TOOL_FORMATS) as [ToolFormatName, ...ToolFormatName[]];

export const templateFlag = flag(z.enum(templateNames).nullable(), {
  default: null,
  help: "Write conversations in this format instead of the tokenizer's own chat template.",
});

export const encodingFlags = {
  template_name: templateFlag,
  tool_format: flag(z.enum(toolFormatNames).nullable(), {
    default: null,
    help: "How tools, calls of them and what they return are written; by default the tools are not described.",
  }),
  model_max_length: flag(z.int().min(2), {
    default: 512,
    help: "Most tokens of a row; a longer conversation becomes several.",
  }),
  train_on_inputs: flag(z.boolean(), { default: false, help: "Learn the questions too, not the answers alone." }),
};
