import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { InputError } from "@medgpt/artifacts";
import { describe, expect, it } from "vitest";
import { z } from "zod";

import { parseFlags } from "./flags.js";
import { accepted, commandFlags, flag, positional, refused, required, topic } from "./schema.js";

const schema = z
  .strictObject({
    ...topic("Things", {
      model: required(z.string(), { help: "The folder of the model." }),
      train: flag(z.boolean(), { default: false, help: "Train." }),
      packing: flag(z.boolean(), { default: true, help: "Pack." }),
      lora_rank: flag(z.int().min(1), { default: 8, help: "The rank." }),
      max_steps: flag(z.int().min(-1), { default: -1, help: "Steps." }),
      samples: flag(z.int().nullable(), { default: null, help: "How many." }),
      learning_rate: flag(z.number().gt(0), { default: 5e-5, help: "The rate." }),
      offset: flag(z.number(), { default: 0, help: "Any number." }),
      dropout: flag(z.number().min(0).lt(1), { default: 0, help: "Dropout." }),
      eval_strategy: flag(z.enum(["no", "steps"]), { default: "no", help: "When.", alias: ["evaluation_strategy"] }),
      dtype: flag(z.enum(["auto", "float32"]).nullable(), { default: null, help: "The dtype." }),
      report_to: flag(z.array(z.enum(["tensorboard", "none"])), { default: ["none"], help: "Where to." }),
      modules: flag(z.array(z.string()), { default: [], help: "Which." }),
      kwargs: flag(z.record(z.string(), z.number()).nullable(), { default: null, help: "More." }),
      resume: flag(z.union([z.boolean(), z.string()]).nullable(), { default: null, help: "Go on." }),
      output_dir: flag(z.string(), { default: "out", help: "Where." }),
      ddp_timeout: accepted(z.int(), { default: 1800, because: "training runs in one process" }),
      ddp_static: accepted(z.boolean().nullable(), { default: null, because: "training runs in one process" }),
      token: accepted(z.string().nullable(), { default: null, because: "nothing is fetched", secret: true }),
      qlora: refused(z.boolean(), { default: false, why: "weights are not quantised" }),
      sharding: refused(z.string().nullable(), { default: null, why: "there is one process" }),
    }),
    ...commandFlags,
  })
  .superRefine((config, context) => {
    if (config.lora_rank > 100 && config.packing) {
      context.addIssue({ code: "custom", path: ["lora_rank"], message: "too high for packing" });
    }
  });

/** Parses a line of flags after the required one. */
const parse = (line: string) => parseFlags(schema, ["--model", "m", ...line.split(" ").filter((word) => word !== "")]);

describe("a command line", () => {
  const values: [string, Record<string, unknown>][] = [
    ["", { model: "m", train: false, packing: true, lora_rank: 8, report_to: ["none"], resume: null, config: null }],
    ["--train", { train: true }],
    ["--train --packing False", { train: true, packing: false }],
    ["--train True", { train: true }],
    ["--train=true", { train: true }],
    ["--packing false", { packing: false }],
    ["--packing 0", { packing: false }],
    ["--train 1", { train: true }],
    ["--train yes --packing no", { train: true, packing: false }],
    ["--lora_rank 16", { lora_rank: 16 }],
    ["--lora-rank 16", { lora_rank: 16 }],
    ["--lora-rank=16", { lora_rank: 16 }],
    ["--max_steps -1", { max_steps: -1 }],
    ["--learning_rate 2e-4", { learning_rate: 2e-4 }],
    ["--learning_rate .05", { learning_rate: 0.05 }],
    ["--learning_rate 1E-3", { learning_rate: 1e-3 }],
    ["--offset -2e-4", { offset: -2e-4 }],
    ["--offset -.5", { offset: -0.5 }],
    ["--samples None", { samples: null }],
    ["--samples none", { samples: null }],
    ["--samples null", { samples: null }],
    ["--samples 10", { samples: 10 }],
    ["--eval_strategy steps", { eval_strategy: "steps" }],
    ["--evaluation_strategy steps", { eval_strategy: "steps" }],
    ["--evaluation-strategy=no", { eval_strategy: "no" }],
    ["--dtype None", { dtype: null }],
    ["--report_to tensorboard", { report_to: ["tensorboard"] }],
    ["--report_to none", { report_to: ["none"] }],
    ["--modules q_proj,v_proj", { modules: ["q_proj", "v_proj"] }],
    ['--kwargs {"num_cycles":2}', { kwargs: { num_cycles: 2 } }],
    ["--resume", { resume: true }],
    ["--resume --train", { resume: true, train: true }],
    ["--resume False", { resume: false }],
    ["--resume out/checkpoint-3", { resume: "out/checkpoint-3" }],
    ["--output_dir a=b", { output_dir: "a=b" }],
    ["--output_dir=--odd", { output_dir: "--odd" }],
    ["--qlora False", { qlora: false }],
    ["--sharding None", { sharding: null }],
  ];
  it.each(values)("reads %j", (line, expected) => {
    expect(parse(line).config).toMatchObject(expected);
  });

  const errors: [string, string][] = [
    ["--lora_rank eight", '--lora_rank: expected an integer, got "eight"'],
    ["--lora_rank 1.5", '--lora_rank: expected an integer, got "1.5"'],
    ["--lora_rank 1e2", '--lora_rank: expected an integer, got "1e2"'],
    ["--lora_rank 0", "--lora_rank: expected 1 or more, got 0"],
    ["--lora_rank None", '--lora_rank: expected an integer, got "None"'],
    ["--lora_rank", "--lora_rank: expected a value after it: an integer"],
    ["--lora_rank --train", "--lora_rank: expected a value after it: an integer"],
    ["--lora_rank 101", "--lora_rank: too high for packing"],
    ["--learning_rate fast", '--learning_rate: expected a number, got "fast"'],
    ["--learning_rate 0", "--learning_rate: expected more than 0, got 0"],
    ["--dropout 1", "--dropout: expected less than 1, got 1"],
    ["--samples many", '--samples: expected an integer (or None), got "many"'],
    ["--train maybe", '--train: expected True or False, got "maybe"'],
    ["--train constructor", '--train: expected True or False, got "constructor"'],
    ["--eval_strategy sometimes", '--eval_strategy: expected one of no, steps, got "sometimes"'],
    ["--report_to wandb", "--report_to: expected tensorboard, none, got wandb"],
    ["--modules a,,b", '--modules: expected names separated by commas, got "a,,b"'],
    [
      "--kwargs {num_cycles:2}",
      `--kwargs: expected a JSON object such as '{"num_cycles": 2}' (or None), got "{num_cycles:2}"`,
    ],
    ["--kwargs 3", `--kwargs: expected a JSON object such as '{"num_cycles": 2}' (or None), got 3`],
    ["--lora_rnak 8", "--lora_rnak: unknown flag; did you mean --lora_rank?"],
    ["--lora-dropuot 0", "--lora-dropuot: unknown flag; --help all lists them all"],
    ["--learningRate 1", "--learningRate: unknown flag; did you mean --learning_rate?"],
    ["--xyzzy", "--xyzzy: unknown flag; --help all lists them all"],
    ["--__proto__ 1", "--__proto__: unknown flag; --help all lists them all"],
    ["--lora_rank 8 --lora_rank 8", "--lora_rank: given twice; give it once"],
    [
      "--eval_strategy no --evaluation_strategy no",
      "--evaluation_strategy: the same flag as --eval_strategy, which was given too; give it once",
    ],
    ["stray", 'expected a flag such as --model, got "stray"'],
    ["--lora_rank 8 9", 'expected a flag such as --model, got "9"'],
    ["-x", 'expected a flag such as --model, got "-x"'],
    ["--output_dir -x", "--output_dir: expected a value after it: text"],
    ["--qlora True", "--qlora: refused: weights are not quantised"],
    ["--qlora", "--qlora: refused: weights are not quantised"],
    ["--sharding zero3", "--sharding: refused: there is one process"],
    ["--config missing.json", "--config: cannot read the configuration file missing.json: ENOENT"],
    ["--config file.toml", "--config: expected a file ending in .json, .yaml or .yml, got file.toml"],
  ];
  it.each(errors)("fails on %j", (line, message) => {
    const run = () => parse(line);
    expect(run).toThrow(InputError);
    expect(run).toThrow(new RegExp(`^${message.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`));
  });

  it("fails on a required flag that was not given, with its sentence", () => {
    expect(() => parseFlags(schema, [])).toThrow("--model: required: the folder of the model.");
  });

  it("says once for each given flag that changes nothing, and hides secrets", () => {
    const { lines } = parse("--ddp-timeout 30000 --ddp_static --token hf_abc --train");
    expect(lines).toEqual([
      "--ddp-timeout 30000: changes nothing here, because training runs in one process",
      "--ddp_static True: changes nothing here, because training runs in one process",
      "--token: changes nothing here, because nothing is fetched",
    ]);
    expect(parse("").lines).toEqual([]);
  });

  it("knows which fields were given, under their own names", () => {
    expect(parse("--evaluation_strategy no --lora-rank 8").given).toEqual(
      new Set(["model", "eval_strategy", "lora_rank"]),
    );
  });
});

describe("unknown flags", () => {
  const training = z.strictObject({
    ...topic("Things", {
      model_name_or_path: required(z.string(), { help: "The model." }),
      train_file_dir: flag(z.string().nullable(), { default: null, help: "The data." }),
      block_size: flag(z.int(), { default: 1024, help: "Tokens." }),
      num_train_epochs: flag(z.number(), { default: 3, help: "Epochs." }),
      per_device_train_batch_size: flag(z.int(), { default: 8, help: "Rows." }),
      per_device_eval_batch_size: flag(z.int(), { default: 8, help: "Rows." }),
      learning_rate: flag(z.number(), { default: 5e-5, help: "The rate." }),
      lora_rank: flag(z.int(), { default: 8, help: "The rank." }),
      lora_dropout: flag(z.number(), { default: 0, help: "Dropout." }),
      max_steps: flag(z.int(), { default: -1, help: "Steps." }),
      local_rank: refused(z.int(), { default: -1, why: "there is one process" }),
      dataloader_num_workers: accepted(z.int(), { default: 0, because: "there is no loader" }),
    }),
    ...commandFlags,
  });
  const answers = z.strictObject({
    data_file: flag(z.string().nullable(), { default: null, help: "The prompts." }),
    batch_size: flag(z.int(), { default: 1, help: "Prompts at once." }),
    max_new_tokens: flag(z.int(), { default: 8, help: "Most tokens." }),
  });
  const messageOf = (line: string, of: z.ZodObject = training): string => {
    try {
      parseFlags(of, line.split(" "));
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };

  it.each([
    ["--batch_size 4", "did you mean --per_device_train_batch_size?"],
    ["--train-file d", "did you mean --train_file_dir?"],
    ["--trainFile d", "did you mean --train_file_dir?"],
    ["--model m", "did you mean --model_name_or_path?"],
    ["--lr 1e-4", "did you mean --learning_rate?"],
    ["--epochs 1", "did you mean --num_train_epochs?"],
    ["--data d", "did you mean --train_file_dir?"],
    ["--max_seq_length=512", "did you mean --block_size?"],
    ["--dropout 0", "did you mean --lora_dropout?"],
    ["--r 8", "did you mean --lora_rank?"],
    ["--device_batch_size 8", "did you mean --per_device_train_batch_size or --per_device_eval_batch_size?"],
    ["--dataloader_num_worker 2", "did you mean --dataloader_num_workers?"],
    ["--workers 2", "--help all lists them all"],
    ["--output out", "--help all lists them all"], // this command has nothing of the kind
    ["--constructor x", "--help all lists them all"],
  ])("of %s suggests what is meant, or nothing", (line, hint) => {
    expect(messageOf(line)).toBe(`${line.split(/[ =]/)[0]}: unknown flag; ${hint}`);
  });

  it.each([
    ["--data d", "did you mean --data_file?"],
    ["--batch 4", "did you mean --batch_size?"],
    ["--max_length 9", "did you mean --max_new_tokens?"],
  ])("suggests a flag that the command has for %s", (line, hint) => {
    expect(messageOf(line, answers)).toContain(hint);
  });

  it("names all of them at once, before any other fault", () => {
    expect(messageOf("--lr 1e-4 --block_size many stray --epochs=1 --foo -x")).toBe(
      "unknown flags: --lr: did you mean --learning_rate? --epochs: did you mean --num_train_epochs? --foo; --help all lists them all",
    );
  });

  it("names dashes with nothing but a value after them", () => {
    expect(messageOf("--=1")).toBe("--: unknown flag; --help all lists them all");
  });

  it("names all unknown keys of a file, each with its place", () => {
    const readText = (): string => "model_name_or_path: m\nlr: 1\nblock_size: 8\nepoch: 2\n";
    expect(() => parseFlags(training, ["--config", "a.yaml"], { readText })).toThrow(
      "a.yaml:2:1: unknown keys: lr: did you mean learning_rate? epoch (a.yaml:4:1): did you mean num_train_epochs?",
    );
  });
});

describe("a configuration file", () => {
  const read = (name: string, text: string, line = "") => {
    const argv = ["--config", name, ...line.split(" ").filter((word) => word !== "")];
    return parseFlags(schema, argv, { readText: () => text });
  };

  it("gives values that flags override", () => {
    const { config, given } = read("a.yaml", "model: m\nlora_rank: 4\nlearning_rate: 2e-4\n", "--lora_rank 16");
    expect(config).toMatchObject({ model: "m", lora_rank: 16, learning_rate: 2e-4 });
    expect(given).toEqual(new Set(["model", "lora_rank", "learning_rate", "config"]));
  });

  it("takes JSON, aliases, dashes, lists, None and text that means a value", () => {
    const text = `{"model": "m", "evaluation-strategy": "no", "modules": ["a", "b"], "report_to": "tensorboard",
      "samples": null, "packing": "False", "kwargs": {"power": 2}, "learning_rate": "2e-4"}`;
    expect(read("a.json", text).config).toMatchObject({
      eval_strategy: "no",
      modules: ["a", "b"],
      report_to: ["tensorboard"],
      samples: null,
      packing: false,
      kwargs: { power: 2 },
      learning_rate: 2e-4,
    });
  });

  it("notes keys that change nothing", () => {
    expect(read("a.yml", "model: m\nddp_timeout: 30\n").lines).toEqual([
      "ddp_timeout 30: changes nothing here, because training runs in one process",
    ]);
  });

  const errors: [string, string, string][] = [
    ["a.yaml", "model: m\nlora_rnak: 4\n", "a.yaml:2:1: unknown key lora_rnak; did you mean lora_rank?"],
    ["a.json", '{\n  "model": "m",\n  "lora_rnak": 4\n}', "a.json:3:3: unknown key lora_rnak; did you mean lora_rank?"],
    ["a.yaml", "model: m\nlora_rank: eight\n", 'a.yaml:2:1: lora_rank: expected an integer, got "eight"'],
    ["a.yaml", "model: m\nlora_rank: 0\n", "a.yaml:2:1: lora_rank: expected 1 or more, got 0"],
    ["a.yaml", "model: m\nlora_rank: 1.5\n", "a.yaml:2:1: lora_rank: expected an integer, got 1.5"],
    ["a.yaml", "model: 5\n", "a.yaml:1:1: model: expected text, got 5"],
    ["a.yaml", "model: m\nqlora: true\n", "a.yaml:2:1: qlora: refused: weights are not quantised"],
    [
      "a.yaml",
      "model: m\neval_strategy: no\nevaluation_strategy: no\n",
      "a.yaml:3:1: evaluation_strategy: eval_strategy is set twice",
    ],
    ["a.yaml", "model: m\nmodel: n\n", "a.yaml:2:1: not YAML: Map keys must be unique"],
    ["a.yaml", "model: [m\n", "a.yaml:2:1: not YAML"],
    ["a.yaml", "- model\n", "a.yaml: expected an object whose keys are flag names"],
    ["a.yaml", "config: b.yaml\n", "a.yaml:1:1: a configuration file cannot name another one"],
    ["a.json", '{\n  "model": "m",\n}', "a.json:3:1: not JSON"],
    ["a.json", '{"model": "m", "model": "n"}', "a.json:1:16: not usable: Map keys must be unique"],
  ];
  it.each(errors)("fails on %s with %j", (name, text, message) => {
    const run = () => read(name, text);
    expect(run).toThrow(InputError);
    expect(run).toThrow(message);
  });

  it("is read from the disk", () => {
    const path = join(mkdtempSync(join(tmpdir(), "medgpt-flags-")), "run.json");
    writeFileSync(path, '{ "model": "from disk" }');
    expect(parseFlags(schema, ["--config", path]).config.model).toBe("from disk");
  });
});

describe("words without a flag", () => {
  const words = z.strictObject({
    name: positional(z.string(), { help: "A name." }),
    files: positional(z.array(z.string()).min(1), { help: "Files." }),
    deep: flag(z.boolean(), { default: false, help: "At every depth." }),
    to: flag(z.string().nullable(), { default: null, help: "Where to." }),
  });

  it.each<[string[], object]>([
    [["n", "a", "b"], { name: "n", files: ["a", "b"] }],
    [["n", "--to", "x", "a", "--deep", "b"], { name: "n", files: ["a", "b"], to: "x", deep: true }],
    [["n", "a", "--deep", "False"], { name: "n", files: ["a"], deep: false }],
    [["--name", "n", "a,b"], { name: "n", files: ["a,b"] }],
    [["n", "--files", "a,b"], { name: "n", files: ["a", "b"] }],
  ])("%j go to the positional fields in their order", (argv, expected) => {
    expect(parseFlags(words, argv).config).toMatchObject(expected);
  });

  it.each<[string[], string]>([
    [["n"], "FILES …: required: files."],
    [[], "NAME: required: a name."],
    [["n", ""], 'FILES …: expected names separated by commas, got ""'],
    [["n", "-x"], 'expected a flag such as --deep, got "-x"'],
    [["--files", "a", "n", "b"], 'expected a flag, got one word too many: "b"'],
  ])("%j are refused", (argv, message) => {
    expect(() => parseFlags(words, argv)).toThrow(message);
  });
});

describe("a word where none may stand", () => {
  const talk = z.strictObject({
    folder: required(z.string(), { help: "The model." }),
    prompt: flag(z.string().nullable(), { default: null, help: "What to ask.", word: true }),
    raw: flag(z.boolean(), { default: false, help: "Without a template." }),
  });

  it.each<[string[], string]>([
    [["hello"], 'expected a flag such as --prompt "hello", got "hello"'],
    [["--folder", "m", "头晕 怎么办？"], 'expected a flag such as --prompt "头晕 怎么办？", got "头晕 怎么办？"'],
    [["--prompt", "a", "b"], 'expected a flag such as --folder, got "b"'],
    [["-p", "hello"], 'expected a flag such as --folder, got "-p"'],
  ])("%j is shown the flag of its own command", (argv, message) => {
    expect(() => parseFlags(talk, argv)).toThrow(message);
  });
});
