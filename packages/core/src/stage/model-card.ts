import { join } from "node:path";
import { writeFileAtomic } from "@medgpt/artifacts";
import type { LoraConfig } from "../checkpoint/lora-config.js";
import type { StageInfo } from "./stage-info.js";

/**
 * README.md with the front matter that the hub reads: what the model was made from and which library loads it.
 * @param home where the folder will be
 */
export async function writeModelCard(
  dir: string,
  home: string,
  base: string,
  lora: LoraConfig | undefined,
  stage: Pick<StageInfo, "title" | "tag"> & { readonly package: string },
): Promise<void> {
  const library = lora === undefined ? "transformers" : "peft";
  const load =
    lora === undefined
      ? `AutoModelForCausalLM.from_pretrained("${home}")`
      : `PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("${base}"), "${home}")`;
  const text = `---
base_model: ${JSON.stringify(base)}
library_name: ${library}
pipeline_tag: text-generation
tags:
- medgpt
- ${stage.tag}
---

# ${stage.title} of ${base}

Trained with ${stage.package}. \`medgpt.json\` holds the whole configuration, \`trainer_state.json\` the log.

\`\`\`python
model = ${load}
\`\`\`
`;
  await writeFileAtomic(join(dir, "README.md"), text);
}
