import { readdirSync, readFileSync } from "node:fs";

import { fieldsOf, parseFlags, withOptionTable } from "@medgpt/core/config";
import { describe, expect, it } from "vitest";

import { command } from "./command.js";
import { sftSchema } from "./config.js";

const parse = (line: string) =>
  parseFlags(
    sftSchema,
    line.split(/\s+/).filter((word) => word !== ""),
  );

/** The command line that MedicalGPT publishes for this stage, after the program's name. */
const PUBLISHED = `--model_name_or_path Qwen/Qwen3.5-0.8B --train_file_dir ./data/sft --validation_file_dir ./data/sft
  --per_device_train_batch_size 2 --per_device_eval_batch_size 1 --do_train --do_eval --use_peft True
  --max_train_samples 1000 --max_eval_samples 10 --model_max_length 512 --num_train_epochs 1 --learning_rate 2e-5
  --warmup_steps 5 --weight_decay 0.05 --logging_strategy steps --logging_steps 10 --eval_steps 50 --eval_strategy steps
  --save_steps 500 --save_strategy steps --save_total_limit 13 --gradient_accumulation_steps 8
  --preprocessing_num_workers 4 --output_dir outputs-sft-qwen-v1 --ddp_timeout 30000 --logging_first_step True
  --target_modules all --lora_rank 8 --lora_alpha 16 --lora_dropout 0.05 --torch_dtype bfloat16 --bf16
  --report_to tensorboard --ddp_find_unused_parameters False --gradient_checkpointing True --tool_format default
  --cache_dir ./cache --flash_attn True`;

/** Every flag that supervised_finetuning.py defines itself, with its default; train_file_dir has null too. */
const DEFAULTS = {
  tokenizer_name_or_path: null,
  load_in_8bit: false,
  load_in_4bit: false,
  cache_dir: null,
  model_revision: "main",
  hf_hub_token: null,
  use_fast_tokenizer: false,
  torch_dtype: "float16",
  device_map: "auto",
  trust_remote_code: true,
  rope_scaling: null,
  flash_attn: false,
  shift_attn: false,
  neft_alpha: 0,
  dataset_name: null,
  dataset_config_name: null,
  validation_file_dir: null,
  max_train_samples: null,
  max_eval_samples: null,
  ignore_pad_token_for_loss: true,
  overwrite_cache: false,
  validation_split_percentage: 1,
  preprocessing_num_workers: null,
  use_peft: true,
  train_on_inputs: false,
  target_modules: ["all"],
  lora_rank: 8,
  lora_dropout: 0.05,
  lora_alpha: 32,
  modules_to_save: null,
  peft_path: null,
  qlora: false,
  model_max_length: 512,
  template_name: null,
  tool_format: null,
};

describe("the flags", () => {
  it("take the published command line as it is", () => {
    const { config, lines } = parse(PUBLISHED);
    expect(config).toMatchObject({ model_max_length: 512, tool_format: "default", bf16: true, flash_attn: true });
    expect(lines).toContain("--flash_attn True: changes nothing here, because attention is always computed in tiles");
  });

  it("have every flag of the original with its default", () => {
    expect(parse("--model_name_or_path m --train_file_dir d --do_train").config).toMatchObject(DEFAULTS);
  });

  it.each([
    ["--shift_attn True", "--shift_attn: refused: shifted sparse attention"],
    ["--template_name vicunia", "--template_name: expected one of vicuna"],
    ["--rope_scaling yarn", "--rope_scaling: expected"],
    ["--neft_alpha -1", "--neft_alpha"],
    ["--qlora True", "--qlora: refused"],
    ["--dataset_name owner/set", "expected one of --train_file_dir and --dataset_name"],
  ])("%s fails", (line, message) => {
    expect(() => parse(`--model_name_or_path m --train_file_dir d --do_train ${line}`)).toThrow(message);
  });

  it("are in docs/options.md as they are", () => {
    const options = readFileSync(new URL("../docs/options.md", import.meta.url), "utf8");
    expect(withOptionTable(options, sftSchema)).toBe(options);
  });

  it.each(readdirSync(command.presets!))("are set by presets/%s", (name) => {
    const argv = ["--config", `medgpt:${name}`, "--model_name_or_path", "m", "--train_file_dir", "d"];
    const { config, given } = parseFlags(sftSchema, argv, { presets: command.presets });
    const defaults = new Map(fieldsOf(sftSchema).map((field) => [field.name, field.default]));
    for (const key of given) {
      if (["config", "model_name_or_path", "train_file_dir"].includes(key)) continue;
      expect(config[key as keyof typeof config], `${key} is the default`).not.toEqual(defaults.get(key));
    }
  });
});
