import { rm, truncate, writeFile } from "node:fs/promises";
import { DEEP, editHeader, folder, pipe, safetensors, type Entry, type HostileCase } from "./sandbox.js";

const CONFIG = "%s/adapter/adapter_config.json";
const FILE = "%s/adapter/adapter_model.safetensors";
const PREFIX = "base_model.model.model.layers.0.self_attn.q_proj";

const config = (what: string, change: Record<string, unknown>, error: string | RegExp): HostileCase => ({
  what: `an adapter with ${what}`,
  flags: (box) => box.adapterConfig(change),
  error,
});
const text = (what: string, data: string, error: string | RegExp): HostileCase => ({
  what: `an adapter_config.json ${what}`,
  flags: (box) => box.adapter((at) => writeFile(at("adapter_config.json"), data)),
  error,
});
const header = (
  what: string,
  change: (header: Record<string, Entry>) => unknown,
  error: string | RegExp,
): HostileCase => ({
  what: `an adapter ${what}`,
  flags: (box) => box.adapter((at) => editHeader(at("adapter_model.safetensors"), change)),
  error,
});
const lora = `${CONFIG}: expected a LoRA configuration with "r", "lora_alpha" and "target_modules"`;

export const adapters: readonly HostileCase[] = [
  {
    what: "an adapter that is not there",
    flags: (box) => ({ peft_path: box.at("none") }),
    error: "%s/none: expected the folder of an adapter, but there is no folder of this name",
  },
  {
    what: "a model in place of an adapter",
    flags: (box) => ({ peft_path: box.prototypes.toys.at("llama") }),
    error: /\/llama: expected an adapter, found a model$/,
  },
  {
    what: "an adapter without weights",
    flags: (box) => box.adapter((at) => rm(at("adapter_model.safetensors"))),
    error:
      /^%s\/adapter\/adapter_model.safetensors: looks like a adapter, but adapter_model.safetensors is missing; the copy is incomplete/,
  },
  {
    what: "an adapter with pickled weights",
    flags: (box) =>
      box.adapter(async (at) => {
        await rm(at("adapter_model.safetensors"));
        await writeFile(at("adapter_model.bin"), "\x80\x02");
      }),
    error: /it holds PyTorch .bin weights: save them as safetensors first$/,
  },
  {
    what: "an adapter whose weights are a folder",
    flags: (box) => box.adapter((at) => folder(at("adapter_model.safetensors"))),
    error: /adapter_model.safetensors is missing/,
  },
  {
    what: "an adapter whose weights are a pipe",
    flags: (box) => box.adapter((at) => pipe(at("adapter_model.safetensors"))),
    error: /adapter_model.safetensors is missing/,
  },
  {
    what: "an adapter whose weights were cut short",
    flags: (box) => box.adapter((at) => truncate(at("adapter_model.safetensors"), 1000)),
    error: /^%s\/adapter\/adapter_model.safetensors: expected a complete safetensors file/,
    process: true,
  },
  {
    what: "an adapter whose weights are none",
    flags: (box) => box.adapter((at) => writeFile(at("adapter_model.safetensors"), safetensors("{}"))),
    error: "%s/adapter: the adapter has no weights for model.layers.0.self_attn.q_proj",
  },
  text("that is not JSON", "r: 8", new RegExp(`^${CONFIG}: expected JSON, but`)),
  text("that is a list", "[]", `${CONFIG}: expected a JSON object, found a list`),
  text("that is empty", "{}", lora),
  text(
    "nested 100,000 levels deep",
    `{"target_modules": ${DEEP}}`,
    `${CONFIG}: expected JSON of at most 200 levels, but it is nested deeper`,
  ),
  config("another method", { peft_type: "IA3" }, `${CONFIG}: expected peft_type "LORA", got "IA3"`),
  config(
    "a method of a megabyte",
    { peft_type: "x".repeat(1e6) },
    /^%s\/adapter\/adapter_config.json: expected peft_type "LORA", got "x{900,1000}…$/,
  ),
  config("DoRA", { use_dora: true }, new RegExp(`^${CONFIG}: use_dora true is not supported`)),
  config("trained biases", { bias: "all" }, new RegExp(`^${CONFIG}: bias "all" is not supported`)),
  config("a rank in quotes", { r: "8" }, lora),
  config("no rank", { r: undefined }, lora),
  config("the rank 0", { r: 0 }, `${CONFIG}: expected a positive integer at "r", got 0`),
  config("a negative rank", { r: -8 }, `${CONFIG}: expected a positive integer at "r", got -8`),
  config("a rank with a fraction", { r: 7.5 }, `${CONFIG}: expected a positive integer at "r", got 7.5`),
  config(
    "the rank of another",
    { r: 4 },
    new RegExp(`^${FILE}: ${PREFIX}.lora_A.weight: expected shape \\(4, 32\\), got \\(8, 32\\)$`),
  ),
  config(
    "a rank of 10^12",
    { r: 1e12 },
    /^(%s\/adapter\/adapter_model.safetensors: .*expected shape|training [\d,]+ parameters takes [\d.]+ GiB)/,
  ),
  config(
    "a rank of 2^53 - 1",
    { r: 2 ** 53 - 1 },
    /^(%s\/adapter\/adapter_model.safetensors: .*expected shape|training [\d,]+ parameters takes [\d.]+ GiB)/,
  ),
  config("an alpha in quotes", { lora_alpha: "16" }, lora),
  {
    what: "an adapter with an alpha beyond numbers",
    flags: (box) =>
      box.adapter(async (at) => {
        const keys = '"peft_type": "LORA", "r": 8, "target_modules": ["q_proj"]';
        await writeFile(at("adapter_config.json"), `{"lora_alpha": 1e999, ${keys}}`);
      }),
    error: `${CONFIG}: expected "lora_alpha" to be a number, got null`,
  },
  config(
    "a dropout of 1",
    { lora_dropout: 1 },
    `${CONFIG}: expected a number from 0 to less than 1 at "lora_dropout", got 1`,
  ),
  config(
    "a negative dropout",
    { lora_dropout: -0.5 },
    `${CONFIG}: expected a number from 0 to less than 1 at "lora_dropout", got -0.5`,
  ),
  config("a dropout in quotes", { lora_dropout: "0" }, `${CONFIG}: expected "lora_dropout" to be a number, got "0"`),
  config("no targets", { target_modules: null }, lora),
  config(
    "an empty list of targets",
    { target_modules: [] },
    `${CONFIG}: expected "target_modules" to be names or a pattern, got []`,
  ),
  config(
    "targets that are numbers",
    { target_modules: [1] },
    `${CONFIG}: expected "target_modules" to be names or a pattern, got [1]`,
  ),
  config(
    "a target that is not there",
    { target_modules: ["query_key_value"] },
    /target_modules: no linear module is called "query_key_value"; this model has q_proj/,
  ),
  config(
    "a pattern that is malformed",
    { target_modules: "(q_proj" },
    /target_modules: "\(q_proj" is no regular expression/,
  ),
  config(
    "a pattern that takes for ever",
    { target_modules: "(([a-z]|[._0-9])+)+!" },
    /target_modules: ".*" takes more than 1 s to match/,
  ),
  config(
    "saved modules that are text",
    { modules_to_save: "lm_head" },
    `${CONFIG}: expected "modules_to_save" to be names, got "lm_head"`,
  ),
  config(
    "a saved module that is not there",
    { modules_to_save: ["score"] },
    /modules_to_save: the model has no module "score"/,
  ),
  config(
    "a saved module without its weights",
    { modules_to_save: ["lm_head"] },
    "%s/adapter: the adapter has no lm_head.weight, although modules_to_save names it",
  ),
  header(
    "whose names leave out where the module is",
    (h) => ["A", "B"].forEach((side) => rename(h, `${PREFIX}.lora_${side}.weight`, `q_proj.lora_${side}.weight`)),
    "%s/adapter: the adapter is for another model: this one has no module q_proj",
  ),
  header(
    "for a module that is not there",
    (h) =>
      ["A", "B"].forEach((side) =>
        rename(h, `${PREFIX}.lora_${side}.weight`, `base_model.model.model.layers.7.x.lora_${side}.weight`),
      ),
    "%s/adapter: the adapter is for another model: this one has no module model.layers.7.x",
  ),
  header(
    "with lora_A alone",
    (h) => rename(h, `${PREFIX}.lora_B.weight`, "base_model.model.other.weight"),
    `${FILE}: model.layers.0.self_attn.q_proj has only one of lora_A and lora_B`,
  ),
  header(
    "that is transposed",
    (h) => entryOf(h).shape.reverse(),
    new RegExp(`^${FILE}: ${PREFIX}.lora_A.weight: expected shape \\(8, 32\\), got \\(32, 8\\)$`),
  ),
  header(
    "of integers",
    (h) => Object.assign(entryOf(h), { dtype: "I32" }),
    /^%s\/adapter\/adapter_model.safetensors: tensor "base_model.*…? is stored as I32, expected F32, BF16, F16; quantised weights are not read$/,
  ),
  header(
    "whose names have line breaks",
    (h) =>
      ["A", "B"].forEach((side) =>
        rename(h, `${PREFIX}.lora_${side}.weight`, `a\nerror: b\u001b[31m.lora_${side}.weight`),
      ),
    /^%s\/adapter: the adapter has weights for a\\u000aerror: b\\u001b\[31m.lora_A.weight, which adapter_config.json names/,
  ),
  {
    what: "an adapter of another model",
    flags: async (box) => ({
      ...(await box.adapter(() => Promise.resolve())),
      model_name_or_path: box.prototypes.toys.at("bloom"),
    }),
    error: "%s/adapter: the adapter is for another model: this one has no module model.layers.0.self_attn.q_proj",
  },
  {
    what: "an adapter with a rank that a flag contradicts",
    flags: async (box) => ({ ...(await box.adapter(() => Promise.resolve())), lora_rank: 4 }),
    error: "%s/adapter: --lora_rank 4: the adapter at --peft_path has 8; leave the flag out",
  },
  {
    what: "an adapter with targets that a flag contradicts",
    flags: async (box) => ({ ...(await box.adapter(() => Promise.resolve())), target_modules: "k_proj" }),
    error: "%s/adapter: --target_modules k_proj: the adapter at --peft_path has other targets; leave the flag out",
  },
];

function rename(header: Record<string, Entry>, from: string, to: string): void {
  header[to] = header[from] as Entry;
  delete header[from];
}

function entryOf(header: Record<string, Entry>): { shape: number[] } {
  return header[`${PREFIX}.lora_A.weight`] as { shape: number[] } & Entry;
}
