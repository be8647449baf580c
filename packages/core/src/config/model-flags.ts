/**
 * The flags that name a model, an adapter and a tokenizer: one name each in help and errors, and in every command all the
 * names that MedicalGPT, PEFT and earlier commands have for them.
 */
import { z } from "zod";
import { flag, required } from "./schema.js";

const MODEL = ["base_model", "model"];
const ADAPTER = ["lora_model", "peft_path"];
const TOKENIZER = ["tokenizer_path", "tokenizer"];

/** `model_name_or_path` */
export function modelFlag(help: string) {
  return required(z.string(), { help, alias: MODEL });
}

/** `adapter` */
export function adapterFlag(help: string) {
  return flag(z.string().nullable(), { default: null, help, alias: ADAPTER });
}

/** `adapter`, where there must be one. */
export function requiredAdapterFlag(help: string) {
  return required(z.string(), { help, alias: ADAPTER });
}

/** `peft_path`, as the training scripts call the adapter that they go on with. */
export function peftPathFlag(help: string) {
  return flag(z.string().nullable(), { default: null, help, alias: ["adapter", "lora_model"] });
}

/** `model_revision` and `hf_hub_token`. */
export const hubFlags = {
  model_revision: flag(z.string().nullable(), {
    default: "main",
    help: "The branch, tag or commit of a model on the hub.",
  }),
  hf_hub_token: flag(z.string().nullable(), {
    default: null,
    help: "The access token for the hub; by default that of HF_TOKEN or of the file that `hf auth login` writes.",
    secret: true,
  }),
};

/** `rope_scaling` */
export function ropeScalingFlag(help: string) {
  return flag(z.enum(["linear", "dynamic"]).nullable(), { default: null, help });
}

/** `tokenizer_name_or_path`, beside a model. */
export function tokenizerFlag(help: string) {
  return flag(z.string().nullable(), { default: null, help, alias: TOKENIZER });
}

/** `tokenizer_name_or_path` of a command that reads nothing else of a model, so that the model's names mean it too. */
export function onlyTokenizerFlag(help: string) {
  return flag(z.string().nullable(), { default: null, help, alias: [...TOKENIZER, "model_name_or_path", ...MODEL] });
}

/** `model_name_or_path` of a command that reads only the tokenizer and needs one. */
export function modelOrTokenizerFlag(help: string) {
  return required(z.string(), { help, alias: [...MODEL, "tokenizer_name_or_path", ...TOKENIZER] });
}
