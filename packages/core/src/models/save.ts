/** Writing what was trained as the Hugging Face libraries read it. */
import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@medgpt/artifacts";
import { editJson } from "../json/edit-json.js";
import { writeAdapter } from "../checkpoint/peft.js";
import { writeSafetensors, type TensorToWrite } from "../checkpoint/safetensors.js";
import type { LoraConfig } from "../checkpoint/lora-config.js";
import type { CausalLm } from "./causal-lm.js";

/** Writes adapter_config.json and adapter_model.safetensors. */
export async function saveAdapter(model: CausalLm, config: LoraConfig, base: string, dir: string): Promise<string[]> {
  const all = config.target_modules === "all" || config.target_modules === "all-linear";
  const written = all ? { ...config, target_modules: model.targets(config) } : config;
  await writeAdapter(dir, written, base, trainedTensors(model), model.options.fanInFanOut ?? false);
  return ["adapter_config.json", "adapter_model.safetensors"];
}

/** Writes config.json, model.safetensors and, where the base has one, generation_config.json. Every weight must be trained. */
export async function saveCausalLm(model: CausalLm, dir: string): Promise<string[]> {
  await writeSafetensors(join(dir, "model.safetensors"), trainedTensors(model), { format: "pt" });
  const edits = { ...model.config.changes, torch_dtype: undefined, dtype: "float32" };
  const config = editJson(await readFile(model.config.path, "utf8"), edits);
  await writeFileAtomic(join(dir, "config.json"), config);
  const generation = join(model.dir, "generation_config.json");
  if (!existsSync(generation)) return ["config.json", "model.safetensors"];
  await writeFileAtomic(join(dir, "generation_config.json"), await readFile(generation));
  return ["config.json", "generation_config.json", "model.safetensors"];
}

function trainedTensors(model: CausalLm): TensorToWrite[] {
  return (model.arena?.parameters ?? []).map((parameter) => ({
    name: parameter.name,
    dtype: "f32",
    shape: parameter.shape,
    data: () => parameter.backend.readBytes(parameter, parameter.size),
  }));
}
