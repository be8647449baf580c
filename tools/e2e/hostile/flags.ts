import { mkdir, writeFile } from "node:fs/promises";
import type { Flags } from "@medgpt/core/testing";
import { DEEP, folder, link, pipe, sparse, type HostileCase } from "./sandbox.js";

/** A flag with a value that is refused; `error` is what follows the flag's name. */
const flag = (name: string, value: string | number | boolean, error: string | RegExp): HostileCase => ({
  what: `--${name} ${String(value).slice(0, 40)}`,
  flags: () => ({ [name]: value }),
  error: typeof error === "string" ? `--${name}: ${error}` : error,
});
const more = (what: string, argv: string[], error: string | RegExp): HostileCase => ({
  what: `a command line with ${what}`,
  flags: () => ({}),
  more: argv,
  error,
});
const yaml = (what: string, text: string | Uint8Array, error: string | RegExp): HostileCase => ({
  what: `a YAML file ${what}`,
  flags: (box) => box.file("run.yaml", text),
  error,
});
const json = (what: string, text: string, error: string | RegExp): HostileCase => ({
  what: `a JSON file of flags ${what}`,
  flags: (box) => box.file("run.json", text),
  error,
});
const special = (
  what: string,
  name: string,
  make: (path: string) => Promise<unknown>,
  error: string | RegExp,
): HostileCase => ({
  what: `a configuration file that ${what}`,
  flags: async (box) => {
    await make(box.at(name));
    return { config: box.at(name) };
  },
  error,
});
/** A place to write to. */
const place = (
  what: string,
  flags: (at: (path: string) => string) => Promise<Flags> | Flags,
  error: string | RegExp,
): HostileCase => ({
  what,
  flags: (box) => flags((path) => box.at(path)),
  error,
});

export const flags: readonly HostileCase[] = [
  { ...flag("lora_rnak", 8, "unknown flag; did you mean --lora_rank?"), process: true },
  flag("__proto__", 8, /^--__proto__: unknown flag; /),
  flag("constructor", 8, /^--constructor: unknown flag/),
  flag("x".repeat(100_000), 8, /^--x{4000,4300}…: unknown flag; --help all lists them all$/),
  flag("lora_rank", "eight", 'expected an integer, got "eight"'),
  flag("lora_rank", "1e3", 'expected an integer, got "1e3"'),
  flag("lora_rank", "0x10", 'expected an integer, got "0x10"'),
  flag("lora_rank", "٣", 'expected an integer, got "٣"'),
  flag("lora_rank", 0, "expected 1 or more, got 0"),
  flag("lora_rank", -8, "expected 1 or more, got -8"),
  flag("lora_rank", "9".repeat(400), /^--lora_rank: expected .*, got 9+…?$/),
  flag(
    "lora_rank",
    2 ** 40,
    /^training [\d,]+ parameters takes [\d.]+ GiB for values, gradients and moments, but this machine has/,
  ),
  flag("learning_rate", "nan", 'expected a number, got "nan"'),
  flag("learning_rate", "1e999", /^--learning_rate: expected a number, got 1e999$/),
  flag("learning_rate", -1, "expected 0 or more, got -1"),
  flag("lora_dropout", 1, "expected less than 1, got 1"),
  flag("warmup_ratio", 1.5, "expected 1 or less, got 1.5"),
  flag("logging_steps", 1.5, "expected a whole number of steps, or a fraction of the run below 1"),
  flag("num_train_epochs", "1e300", "expected 1000000 or less, got 1e300"),
  flag("seed", 2 ** 32, "expected 4294967295 or less, got 4294967296"),
  flag("block_size", 0, "expected 1 or more, got 0"),
  flag("block_size", 129, /^--block_size 129: the model has only 128 positions/),
  flag("threads", 0, "expected 1 or more, got 0"),
  flag("threads", 2 ** 32, "expected 1024 or less, got 4294967296"),
  flag("bf16", "maybe", 'expected True or False, got "maybe"'),
  flag("backend", "cuda", 'expected one of auto, native, js, got "cuda"'),
  flag("lr_scheduler_type", "", /^--lr_scheduler_type: expected one of linear/),
  flag("target_modules", "q_proj,,k_proj", 'expected names separated by commas, got "q_proj,,k_proj"'),
  flag(
    "target_modules",
    "query_key_value",
    /^target_modules: no linear module is called "query_key_value"; this model has q_proj, k_proj/,
  ),
  flag("modules_to_save", "score", /^modules_to_save: the model has no module "score"/),
  // "head" is an ending of lm_head, which PEFT would take.
  flag("modules_to_save", "lm_head,head", /^modules_to_save: the model has no module "head"/),
  flag("lr_scheduler_kwargs", "{", /^--lr_scheduler_kwargs: expected a JSON object/),
  flag("lr_scheduler_kwargs", "[1]", /^--lr_scheduler_kwargs: expected a JSON object/),
  flag("lr_scheduler_kwargs", '{"num_cycles": 1e999}', /^--lr_scheduler_kwargs: expected/),
  flag("lr_scheduler_kwargs", '{"warp": 9}', /^lr_scheduler_kwargs: the linear schedule has no "warp"; it takes none$/),
  flag(
    "gradient_checkpointing_kwargs",
    `{"a": ${"[".repeat(5000) + "]".repeat(5000)}}`,
    /^--gradient_checkpointing_kwargs: expected a JSON object/,
  ),
  flag("qlora", true, /^--qlora: refused: weights are not quantised/),
  flag("deepspeed", "zero3.json", /^--deepspeed: refused: training runs in one process/),
  flag("model_name_or_path", "", 'expected text, got ""'),
  flag("train_file_dir", "/proc/self/mem", /^\/proc\/self\/mem: expected a folder with .* files, but this is a file$/),
  flag("do_train", false, "nothing to do: give --do_train, --do_eval or both"),
  more("a flag twice", ["--seed", "1", "--seed", "2"], "--seed: given twice; give it once"),
  more(
    "a flag under two names",
    ["--no_cuda", "True", "--use_cpu", "True"],
    "--use_cpu: the same flag as --no_cuda, which was given too; give it once",
  ),
  more("a flag without its value", ["--warmup_steps"], /^--warmup_steps: expected a value after it: a number$/),
  more("a word too many", ["--bf16", "True", "twice"], 'expected a flag such as --model_name_or_path, got "twice"'),
  more("a short flag", ["-x"], 'expected a flag such as --model_name_or_path, got "-x"'),
  more("two dashes alone", ["--"], 'expected a flag such as --model_name_or_path, got "--"'),
  more("an empty word", [""], 'expected a flag such as --model_name_or_path, got ""'),
  more("half precision of two kinds", ["--fp16", "--bf16"], "--fp16: expected at most one of --fp16 and --bf16"),
  more(
    "a best model that is never evaluated",
    ["--load_best_model_at_end"],
    /^--load_best_model_at_end: expected --save_strategy and --eval_strategy alike/,
  ),

  yaml(
    "with an unknown key",
    "seed: 1\nblock_sise: 32\n",
    "%s/run.yaml:2:1: unknown key block_sise; did you mean block_size?",
  ),
  yaml(
    "with a value of the wrong type",
    "seed: 1\nlora_rank: [8]\n",
    /^%s\/run.yaml:2:1: lora_rank: expected an integer, got \[8\]$/,
  ),
  yaml("with a key twice", "seed: 1\nseed: 2\n", /^%s\/run.yaml:2:1: not YAML: Map keys must be unique$/),
  yaml(
    "with a key twice, spelt apart",
    "lora_rank: 1\nlora-rank: 2\n",
    "%s/run.yaml:2:1: lora-rank: lora_rank is set twice; give it once",
  ),
  yaml("that is a list", "- seed\n", "%s/run.yaml: expected an object whose keys are flag names"),
  yaml("that is a word", "seed", "%s/run.yaml: expected an object whose keys are flag names"),
  yaml("with a tab", "seed:\n\t- 1\n", /^%s\/run.yaml:\d+:\d+: not YAML: /),
  yaml("with an open quote", 'run_name: "x\n', /^%s\/run.yaml:\d+:\d+: not YAML: /),
  yaml("of two documents", "seed: 1\n---\nseed: 2\n", /^%s\/run.yaml:\d+:\d+: not YAML: /),
  yaml("with an alias for nothing", "seed: *other\n", /^%s\/run.yaml.*: not (usable|YAML): Unresolved alias/),
  yaml("with an alias of itself", "lr_scheduler_kwargs: &a { b: *a }\n", /^%s\/run.yaml.*: /),
  yaml(
    "with a billion laughs",
    bomb(),
    /^%s\/run.yaml: not usable: Excessive alias count indicates a resource exhaustion attack$/,
  ),
  yaml(
    "nested 100,000 levels deep",
    `seed: ${DEEP}\n`,
    "%s/run.yaml: expected flags and values, but it is nested deeply",
  ),
  yaml("with a key that is a list", "? [seed]\n: 1\n", /^%s\/run.yaml:\d+:\d+: unknown key/),
  yaml(
    "with bytes for a number",
    "%YAML 1.1\n---\nseed: !!binary aGk=\n",
    /^%s\/run.yaml:\d+:1: seed: expected an integer/,
  ),
  yaml("with infinity", "adam_epsilon: .inf\n", /^%s\/run.yaml:1:1: adam_epsilon: expected a number/),
  yaml("that names another", "config: other.yaml\n", "%s/run.yaml:1:1: a configuration file cannot name another one"),
  yaml(
    "with a path that has a NUL",
    'cache_dir: "a\\0b"\n',
    /^%s\/run.yaml:1:1: cache_dir: expected text \(or None\), got "a\\u0000b"$/,
  ),
  json("that is not JSON", '{"seed": 1,\n "lora_rank": eight}', /^%s\/run.json:2:15: not JSON: /),
  json("with a comment", '{\n  // all of it\n  "seed": 1\n}', /^%s\/run.json:2:3: not JSON: /),
  json("of no bytes", "", /^%s\/run.json:1:1: not JSON: /),
  json("with a key twice", '{"seed": 1, "seed": 2}', /^%s\/run.json:1:13: not usable: Map keys must be unique$/),
  json(
    "nested 100,000 levels deep",
    `{"seed": ${DEEP}}`,
    "%s/run.json: expected flags and values, but it is nested deeply",
  ),
  json("with a key of 500 kB", `{"${"k".repeat(500_000)}": 1}`, /^%s\/run.json:1:2: unknown key k+…$/),
  json("with __proto__", '{"__proto__": {"seed": 1}}', /^%s\/run.json:1:2: unknown key __proto__/),
  special(
    "is not there",
    "none.yaml",
    () => Promise.resolve(),
    /^--config: cannot read the configuration file %s\/none.yaml: ENOENT/,
  ),
  special(
    "is of another kind",
    "run.toml",
    (path) => writeFile(path, "seed = 1"),
    "--config: expected a file ending in .json, .yaml or .yml, got %s/run.toml",
  ),
  special(
    "is a folder",
    "run.yaml",
    folder,
    "--config: cannot read the configuration file %s/run.yaml: it is a folder",
  ),
  {
    ...special(
      "is a pipe",
      "run.yaml",
      pipe,
      "--config: cannot read the configuration file %s/run.yaml: it is a pipe or device",
    ),
    process: true,
  },
  special(
    "is a device",
    "run.yaml",
    (path) => link(path, "/dev/zero"),
    "--config: cannot read the configuration file %s/run.yaml: it is a pipe or device",
  ),
  special(
    "has 3 GB",
    "run.json",
    (path) => sparse(path, 3e9),
    "--config: cannot read the configuration file %s/run.json: it has 3000000000 bytes, the limit is 1048576",
  ),

  place(
    "an output folder that is a file",
    async (at) => {
      await writeFile(at("output"), "");
      return { output_dir: at("output") };
    },
    "%s/output: --output_dir: expected a folder, this is a file",
  ),
  place(
    "an output folder that is a pipe",
    async (at) => {
      await pipe(at("output"));
      return { output_dir: at("output") };
    },
    "%s/output: --output_dir: expected a folder, this is a file",
  ),
  place(
    "an output folder below a file",
    async (at) => {
      await writeFile(at("file"), "");
      return { output_dir: at("file/output") };
    },
    /^%s\/file\/output: --output_dir: the folder cannot be made \(ENOTDIR/,
  ),
  place(
    "an output folder with too long a name",
    (at) => ({ output_dir: at("x".repeat(300)) }),
    /^%s\/x+: --output_dir: the folder cannot be made \(ENAMETOOLONG/,
  ),
  place(
    "an output folder that is in use",
    async (at) => {
      await mkdir(at("output"));
      await writeFile(at("output/notes.txt"), "mine");
      return { output_dir: at("output") };
    },
    "%s/output: --output_dir is not empty: give --overwrite_output_dir, --resume_from_checkpoint True, or another folder",
  ),
  place(
    "a folder for TensorBoard below a file",
    async (at) => {
      await writeFile(at("file"), "");
      return { report_to: "tensorboard", logging_dir: at("file/runs") };
    },
    /^%s\/file\/runs: --logging_dir: the folder cannot be made \(ENOTDIR/,
  ),
  place(
    "a profile in a folder that is not there",
    (at) => ({ profile: at("none/profile.json") }),
    "%s/none/profile.json: --profile: the file cannot be written, because its folder is not there",
  ),
  place(
    "a profile that is a folder",
    async (at) => {
      await mkdir(at("profile.json"));
      return { profile: at("profile.json") };
    },
    "%s/profile.json: --profile: expected a file, this is a folder",
  ),
  place(
    "a cache folder that is a file",
    async (at) => {
      await writeFile(at("cache"), "");
      return { cache_dir: at("cache") };
    },
    /^%s\/cache: the token cache cannot be written \(/,
  ),
  place(
    "a cache folder with too long a name",
    (at) => ({ cache_dir: at("x".repeat(300)) }),
    /^%s\/x+: the token cache cannot be written \(ENAMETOOLONG/,
  ),
];

/** Nine levels of lists, each nine times the one before. */
function bomb(): string {
  const levels = Array.from({ length: 9 }, (_, level) => {
    const item = level === 0 ? '"lol"' : `*l${level - 1}`;
    return `run_name${level === 8 ? "" : `_${level}`}: &l${level} [${Array.from({ length: 9 }, () => item).join(", ")}]`;
  });
  return `${levels.join("\n")}\n`;
}
