import { readdirSync, readFileSync } from "node:fs";

import { fieldsOf, parseFlags, withOptionTable } from "@medgpt/core/config";
import { evaluates } from "@medgpt/core/stage";
import { describe, expect, it } from "vitest";

import { command } from "./command.js";
import { pretrainSchema } from "./config.js";

const parse = (line: string) =>
  parseFlags(
    pretrainSchema,
    line.split(/\s+/).filter((word) => word !== ""),
  );
const BASE = "--model_name_or_path m --train_file_dir d --do_train";

/** The command line that MedicalGPT publishes for this stage, after the program's name. */
const PUBLISHED = `--model_type bloom --model_name_or_path bigscience/bloomz-560m --train_file_dir ../data/pretrain
  --validation_file_dir ../data/pretrain --per_device_train_batch_size 4 --per_device_eval_batch_size 4 --do_train
  --do_eval --use_peft True --seed 42 --fp16 --max_train_samples 10000 --max_eval_samples 10 --num_train_epochs 0.5
  --learning_rate 2e-4 --warmup_ratio 0.05 --weight_decay 0.01 --logging_strategy steps --logging_steps 10
  --eval_steps 50 --evaluation_strategy steps --save_steps 500 --save_strategy steps --save_total_limit 3
  --gradient_accumulation_steps 1 --preprocessing_num_workers 1 --block_size 1024 --output_dir outputs-pt-v1
  --overwrite_output_dir --ddp_timeout 30000 --logging_first_step True --target_modules all --lora_rank 8
  --lora_alpha 16 --lora_dropout 0.05 --torch_dtype float16 --device_map auto --report_to tensorboard
  --ddp_find_unused_parameters False --gradient_checkpointing True`;

const PUBLISHED_VALUES = {
  model_type: "bloom",
  model_name_or_path: "bigscience/bloomz-560m",
  train_file_dir: "../data/pretrain",
  validation_file_dir: "../data/pretrain",
  per_device_train_batch_size: 4,
  per_device_eval_batch_size: 4,
  do_train: true,
  do_eval: true,
  use_peft: true,
  seed: 42,
  fp16: true,
  max_train_samples: 10000,
  max_eval_samples: 10,
  num_train_epochs: 0.5,
  learning_rate: 2e-4,
  warmup_ratio: 0.05,
  weight_decay: 0.01,
  logging_strategy: "steps",
  logging_steps: 10,
  eval_steps: 50,
  eval_strategy: "steps",
  save_steps: 500,
  save_strategy: "steps",
  save_total_limit: 3,
  gradient_accumulation_steps: 1,
  preprocessing_num_workers: 1,
  block_size: 1024,
  output_dir: "outputs-pt-v1",
  overwrite_output_dir: true,
  ddp_timeout: 30000,
  logging_first_step: true,
  target_modules: ["all"],
  lora_rank: 8,
  lora_alpha: 16,
  lora_dropout: 0.05,
  torch_dtype: "float16",
  device_map: "auto",
  report_to: ["tensorboard"],
  ddp_find_unused_parameters: false,
  gradient_checkpointing: true,
};

describe("the published command line", () => {
  const { config, given, lines } = parse(PUBLISHED);

  it("is read in full", () => {
    expect(config).toMatchObject(PUBLISHED_VALUES);
    expect([...given].sort()).toEqual(Object.keys(PUBLISHED_VALUES).sort());
  });

  it("has one line for each flag that changes nothing", () => {
    expect(lines).toEqual([
      "--device_map auto: changes nothing here, because --backend chooses where the model runs",
      "--preprocessing_num_workers 1: changes nothing here, because text is tokenised on all cores",
      "--ddp_timeout 30000: changes nothing here, because training runs in one process",
      "--ddp_find_unused_parameters False: changes nothing here, because training runs in one process",
    ]);
  });
});

describe("defaults", () => {
  it("are pretraining.py's, then transformers'", () => {
    expect(parse(BASE).config).toMatchObject({
      // pretraining.py
      tokenizer_name_or_path: null,
      block_size: 1024,
      packing: true,
      keep_linebreaks: true,
      validation_split_percentage: 1,
      use_peft: true,
      target_modules: ["all"],
      lora_rank: 8,
      lora_alpha: 32,
      lora_dropout: 0.05,
      torch_dtype: null,
      // TrainingArguments of transformers 5
      learning_rate: 5e-5,
      per_device_train_batch_size: 8,
      per_device_eval_batch_size: 8,
      num_train_epochs: 3,
      max_steps: -1,
      lr_scheduler_type: "linear",
      warmup_steps: 0,
      weight_decay: 0,
      adam_beta1: 0.9,
      adam_beta2: 0.999,
      adam_epsilon: 1e-8,
      max_grad_norm: 1,
      logging_strategy: "steps",
      logging_steps: 500,
      logging_first_step: false,
      eval_strategy: "no",
      eval_steps: null,
      save_strategy: "steps",
      save_steps: 500,
      save_total_limit: null,
      seed: 42,
      data_seed: null,
      report_to: ["none"],
      output_dir: "trainer_output",
      gradient_checkpointing: false,
      gradient_accumulation_steps: 1,
      resume_from_checkpoint: null,
    });
  });

  it("are allowed by their own fields", () => {
    const fields = fieldsOf(pretrainSchema).filter((field) => field.default !== undefined);
    const defaults = Object.fromEntries(fields.map((field) => [field.name, field.default]));
    const given = { ...defaults, model_name_or_path: "m", train_file_dir: "d", do_train: true };
    expect(pretrainSchema.parse(given)).toEqual(given);
  });
});

describe("values that are read", () => {
  it.each([
    ["--resume_from_checkpoint", { resume_from_checkpoint: true }],
    ["--resume_from_checkpoint False", { resume_from_checkpoint: false }],
    ["--resume-from-checkpoint out/checkpoint-500", { resume_from_checkpoint: "out/checkpoint-500" }],
    ["--warmup_steps 0.05", { warmup_steps: 0.05 }],
    ["--warmup_steps 100", { warmup_steps: 100 }],
    ["--save_steps 0.1", { save_steps: 0.1 }],
    ["--max_train_samples -1", { max_train_samples: -1 }],
    ["--target_modules q_proj,v_proj", { target_modules: ["q_proj", "v_proj"] }],
    ["--optim adamw_torch_fused", { optim: "adamw_torch_fused" }],
    ['--lr_scheduler_type polynomial --lr_scheduler_kwargs {"power":2}', { lr_scheduler_kwargs: { power: 2 } }],
    ["--torch_dtype None", { torch_dtype: null }],
    ["--activation_checkpointing", { gradient_checkpointing: true }],
    ["--no_cuda", { use_cpu: true }],
    ["--load_in_8bit False --qlora False --streaming False", { load_in_8bit: false, qlora: false, streaming: false }],
    ["--nproc_per_node 1 --nnodes 1 --local-rank=0", { nproc_per_node: 1, nnodes: 1, local_rank: 0 }],
    ["--neftune_noise_alpha 0", { neftune_noise_alpha: 0 }],
    ["--streaming True --max_steps 5", { streaming: true, shuffle_buffer_size: 10_000 }],
    ["--streaming True --max_steps 5 --do_eval --max_eval_samples 2", { streaming: true, max_eval_samples: 2 }],
    ["--streaming --max_steps 5 --do_eval --validation_file_dir v", { streaming: true, max_eval_samples: null }],
    ["--neat_packing", { neat_packing: true, packing: true }],
    ["--backend js --threads 2", { backend: "js", threads: 2 }],
  ])("%s", (line, expected) => {
    expect(parse(`${BASE} ${line}`).config).toMatchObject(expected);
  });
});

describe("values that fail", () => {
  it.each([
    ["--qlora True", "--qlora: refused: weights are not quantised"],
    ["--load_in_4bit", "--load_in_4bit: refused: weights are not quantised"],
    ["--dataset_name org/texts", "--dataset_name: expected one of --train_file_dir and --dataset_name, got both"],
    ["--dataset_config_name en", "--dataset_config_name: expected a data set in --dataset_name too"],
    ["--streaming True", "--max_steps: --streaming needs a number of steps here"],
    [
      "--streaming True --max_steps 5 --do_eval",
      "--max_eval_samples: --streaming sets this many blocks aside; give it, or --validation_file_dir",
    ],
    ["--neat_packing True --packing False", "--neat_packing: packs documents: expected --packing True"],
    ["--shuffle_buffer_size 0", "--shuffle_buffer_size: expected 1 or more, got 0"],
    ["--nproc_per_node 2", "--nproc_per_node: refused: training runs in one process"],
    ["--deepspeed zero2.json", "--deepspeed: refused: training runs in one process"],
    ["--fsdp full_shard", "--fsdp: refused: training runs in one process"],
    ["--group_by_length True", "--group_by_length: refused: batches have no padding"],
    ["--save_safetensors False", "--save_safetensors: refused"],
    ["--optim adafactor", '--optim: expected one of adamw_torch, adamw_torch_fused, got "adafactor"'],
    ["--report_to wandb", "--report_to: expected tensorboard, all, none, got wandb"],
    ["--block_size 0", "--block_size: expected 1 or more, got 0"],
    ["--lora_rank 0", "--lora_rank: expected 1 or more, got 0"],
    ["--lora_dropout 1", "--lora_dropout: expected less than 1, got 1"],
    ["--lora_dropout -0.1", "--lora_dropout: expected 0 or more, got -0.1"],
    ["--per_device_train_batch_size 0", "--per_device_train_batch_size: expected 1 or more, got 0"],
    ["--gradient_accumulation_steps 0", "--gradient_accumulation_steps: expected 1 or more, got 0"],
    ["--num_train_epochs 0", "--num_train_epochs: expected more than 0, got 0"],
    ["--logging_steps 0", "--logging_steps: expected more than 0, got 0"],
    ["--save_steps 1.5", "--save_steps: expected a whole number of steps, or a fraction"],
    ["--warmup_steps 1.5", "--warmup_steps: expected a whole number of steps, or a fraction"],
    ["--fp16 --bf16", "--fp16: expected at most one of --fp16 and --bf16"],
    ["--load_best_model_at_end", "--load_best_model_at_end: expected --save_strategy and --eval_strategy alike"],
    [
      "--load_best_model_at_end --eval_strategy steps --eval_steps 30 --save_steps 50",
      "--load_best_model_at_end: expected --save_steps to be a multiple of --eval_steps, got 50 and 30",
    ],
    ["--learning_rat 1", "--learning_rat: unknown flag; did you mean --learning_rate?"],
  ])("%s", (line, message) => {
    expect(() => parse(`${BASE} ${line}`)).toThrow(message);
  });

  it.each([
    ["--train_file_dir d --do_train", "--model_name_or_path: required: the folder of the model"],
    ["--model_name_or_path m --train_file_dir d", "--do_train: nothing to do: give --do_train, --do_eval or both"],
    ["--model_name_or_path m --do_train", "--train_file_dir: --do_train needs a folder of text"],
    ["--model_name_or_path m --do_eval", "--validation_file_dir: --do_eval needs a folder of text"],
  ])("%s, without the rest", (line, message) => {
    expect(() => parse(line)).toThrow(message);
  });
});

describe("what follows from several flags", () => {
  it("evaluates with --do_eval and with an --eval_strategy", () => {
    expect(evaluates(parse(BASE).config)).toBe(false);
    expect(evaluates(parse(`${BASE} --do_eval`).config)).toBe(true);
    expect(evaluates(parse(`${BASE} --eval_strategy epoch`).config)).toBe(true);
  });

  it("takes multiples among fractions of a run", () => {
    const line = `${BASE} --load_best_model_at_end --eval_strategy steps --eval_steps 0.2 --save_steps 0.6`;
    expect(parse(line).config.load_best_model_at_end).toBe(true);
  });
});

describe("the files beside it", () => {
  const presets = new URL("../presets/", import.meta.url);
  it.each(readdirSync(presets))("include the preset %s, which parses and overrides no default with itself", (name) => {
    const argv = ["--config", `medgpt:${name.split(".")[0]}`, "--model_name_or_path", "m", "--train_file_dir", "d"];
    const { config, given } = parseFlags(pretrainSchema, argv, { presets: command.presets });
    for (const field of fieldsOf(pretrainSchema)) {
      if (!given.has(field.name)) continue;
      expect(config[field.name as keyof typeof config], field.name).not.toEqual(field.default);
    }
    expect(given.size).toBeGreaterThan(4);
  });

  it.each([
    ["medgpt:medical", 'no preset is called "medical"; there are medgpt:medicalgpt and medgpt:tiny'],
    ["medgpt:../package", 'no preset is called "../package"; there are'],
    ["medgpt:", 'no preset is called ""; there are'],
    ["presets/medicalgpt.yaml", "there is no file presets/medicalgpt.yaml; for the preset of that name give --config"],
    ["tiny", "there is no file tiny; for the preset of that name give --config medgpt:tiny"],
  ])("include no preset for --config %s, which says what there is", (value, message) => {
    expect(() => parseFlags(pretrainSchema, ["--config", value], { presets: command.presets })).toThrow(message);
  });

  it("include a table that is current (tools/readme-tables.mjs brings it up to date)", () => {
    const options = readFileSync(new URL("../docs/options.md", import.meta.url), "utf8");
    expect(withOptionTable(options, pretrainSchema)).toBe(options);
  });

  it("include a README whose command parses", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const shell = /npx medgpt-pretrain \\\n([\s\S]*?)```/.exec(readme)![1]!;
    expect(parse(shell.replaceAll("\\\n", " ")).config).toMatchObject({ lora_alpha: 16, bf16: true });
  });
});
