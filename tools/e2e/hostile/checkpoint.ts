import { rm, truncate, writeFile } from "node:fs/promises";
import { DEEP, editHeader, folder, pipe, type HostileCase } from "./sandbox.js";

const DIR = "%s/output/checkpoint-2";
const STATE = `${DIR}/trainer_state.json`;
const OPTIMIZER = `${DIR}/optimizer.safetensors`;
const RANDOM = `${DIR}/rng_state.json`;
const ADAPTER = `${DIR}/adapter_model.safetensors`;
const MOMENT = "exp_avg.model.layers.0.self_attn.q_proj.lora_A.weight";

const file = (
  what: string,
  name: string,
  data: string | Uint8Array | undefined,
  error: string | RegExp,
): HostileCase => ({
  what: `a checkpoint ${what}`,
  flags: (box) => box.checkpointWith(name, data),
  error,
});
const change = (
  what: string,
  make: (at: (file: string) => string) => Promise<unknown>,
  error: string | RegExp,
): HostileCase => ({
  what: `a checkpoint ${what}`,
  flags: (box) => box.checkpoint(make),
  error,
});
const state = (key: string, value: unknown, expected: string, got: string): HostileCase => ({
  what: `a checkpoint whose ${key} is ${got}`,
  flags: (box) => box.state({ [key]: value }),
  error: `${STATE}: expected ${expected} at "${key}", got ${got}`,
});
const notJson = (path: string): RegExp => new RegExp(`^${path}:\\d+:\\d+: is not valid JSON from here on`);

export const checkpoints: readonly HostileCase[] = [
  {
    what: "no checkpoint to resume from",
    flags: () => ({ resume_from_checkpoint: true }),
    error: /: --resume_from_checkpoint: there is no checkpoint-<step> folder to continue from/,
  },
  {
    what: "a checkpoint folder that is not there",
    flags: (box) => ({ resume_from_checkpoint: box.at("checkpoint-5") }),
    error: "%s/checkpoint-5: --resume_from_checkpoint: no such folder",
  },
  {
    what: "a checkpoint folder that is a pipe",
    flags: async (box) => {
      await pipe(box.at("checkpoint-5"));
      return { resume_from_checkpoint: box.at("checkpoint-5") };
    },
    error: "%s/checkpoint-5: --resume_from_checkpoint: no such folder",
  },
  file(
    "without trainer_state.json",
    "trainer_state.json",
    undefined,
    `${STATE}: is missing, so the checkpoint is not complete; resume from another one`,
  ),
  file("whose trainer_state.json is empty", "trainer_state.json", "", notJson(STATE)),
  file("whose trainer_state.json is null", "trainer_state.json", "null", `${STATE}: expected a JSON object, got null`),
  file(
    "whose trainer_state.json is nested 100,000 levels deep",
    "trainer_state.json",
    `{"global_step": ${DEEP}}`,
    `${STATE}: expected JSON of at most 200 levels, but it is nested deeper`,
  ),
  file(
    "whose trainer_state.json is in UTF-16",
    "trainer_state.json",
    Buffer.from("\uFEFF{}", "utf16le"),
    `${STATE}: expected JSON in UTF-8, but it has bytes that are not; save it as UTF-8`,
  ),
  {
    ...change(
      "whose trainer_state.json was cut short",
      (at) => truncate(at("trainer_state.json"), 100),
      notJson(STATE),
    ),
    process: true,
  },
  change(
    "whose trainer_state.json is a folder",
    (at) => folder(at("trainer_state.json")),
    `${STATE}: expected a file, but this is a folder`,
  ),
  change(
    "whose trainer_state.json is a pipe",
    (at) => pipe(at("trainer_state.json")),
    `${STATE}: expected a file, but this is a pipe or device`,
  ),
  state("global_step", "2", "a step count", '"2"'),
  state("global_step", -1, "a step count", "-1"),
  state("global_step", 1e300, "a step count", "1e+300"),
  state("global_step", undefined, "a step count", "nothing"),
  state("max_steps", 0.5, "a step count", "0.5"),
  state("epoch", "one", "a number", '"one"'),
  state("num_input_tokens_seen", "many", "a count", '"many"'),
  state("best_metric", {}, "a number or null", "{}"),
  state("best_model_checkpoint", 7, "a path or null", "7"),
  state("log_history", {}, "a list of objects with numbers", "{}"),
  state("log_history", [null], "a list of objects with numbers", "[null]"),
  state("log_history", [{ loss: "low" }], "a list of objects with numbers", '[{"loss":"low"}]'),
  file(
    "without its optimizer",
    "optimizer.safetensors",
    undefined,
    /^%s\/output\/checkpoint-2: holds no optimizer.safetensors/,
  ),
  file(
    "whose optimizer is empty",
    "optimizer.safetensors",
    "",
    new RegExp(`^${OPTIMIZER}: not a usable safetensors file: it has 0 bytes`),
  ),
  change(
    "whose optimizer was cut short",
    (at) => truncate(at("optimizer.safetensors"), 1000),
    new RegExp(`^${OPTIMIZER}: not a usable safetensors file`),
  ),
  change(
    "whose optimizer is a folder",
    (at) => folder(at("optimizer.safetensors")),
    `${OPTIMIZER}: cannot be opened (it is a folder)`,
  ),
  change(
    "whose optimizer is a pipe",
    (at) => pipe(at("optimizer.safetensors")),
    `${OPTIMIZER}: cannot be opened (it is a pipe or device)`,
  ),
  change(
    "whose optimizer does not count its steps",
    (at) => editHeader(at("optimizer.safetensors"), (h) => delete h["__metadata__"]),
    `${OPTIMIZER}: expected the number of steps as "step" in the metadata`,
  ),
  change(
    "whose optimizer took -1 steps",
    (at) => editHeader(at("optimizer.safetensors"), (h) => Object.assign(h["__metadata__"] as object, { step: "-1" })),
    `${OPTIMIZER}: expected the number of steps as "step" in the metadata`,
  ),
  change(
    "whose optimizer lacks a moment",
    (at) =>
      editHeader(at("optimizer.safetensors"), (h) => {
        h["other"] = h[MOMENT]!;
        delete h[MOMENT];
      }),
    new RegExp(`^${OPTIMIZER}: expected ${MOMENT} as F32 \\(8, 32\\); the checkpoint is of another model or adapter`),
  ),
  change(
    "whose optimizer has moments of integers",
    (at) => editHeader(at("optimizer.safetensors"), (h) => (h[MOMENT]!.dtype = "I32")),
    new RegExp(`^${OPTIMIZER}: expected ${MOMENT} as F32`),
  ),
  change(
    "whose optimizer is transposed",
    (at) => editHeader(at("optimizer.safetensors"), (h) => (h[MOMENT]!.shape as number[]).reverse()),
    new RegExp(`^${OPTIMIZER}: expected ${MOMENT} as F32`),
  ),
  file("whose rng_state.json is not JSON", "rng_state.json", "{", notJson(RANDOM)),
  file("whose rng_state.json is a list", "rng_state.json", "[]", `${RANDOM}: expected a JSON object, got []`),
  file(
    "whose rng_state.json is nested 100,000 levels deep",
    "rng_state.json",
    `{"seed": ${DEEP}}`,
    `${RANDOM}: expected JSON of at most 200 levels, but it is nested deeper`,
  ),
  change(
    "whose rng_state.json is a folder",
    (at) => folder(at("rng_state.json")),
    `${RANDOM}: expected a file, but this is a folder`,
  ),
  change(
    "whose rng_state.json is a pipe",
    (at) => pipe(at("rng_state.json")),
    `${RANDOM}: expected a file, but this is a pipe or device`,
  ),
  file("without rng_state.json", "rng_state.json", undefined, /there is no checkpoint-<step> folder to continue from/),
  file(
    "without its adapter",
    "adapter_model.safetensors",
    undefined,
    new RegExp(`^${ADAPTER}: cannot be opened \\(ENOENT`),
  ),
  file("whose adapter_config.json is not JSON", "adapter_config.json", "{]", notJson(`${DIR}/adapter_config.json`)),
  change(
    "whose adapter was cut short",
    (at) => truncate(at("adapter_model.safetensors"), 1000),
    new RegExp(`^${ADAPTER}: not a usable safetensors file`),
  ),
  change(
    "whose adapter is a folder",
    (at) => folder(at("adapter_model.safetensors")),
    `${ADAPTER}: cannot be opened (it is a folder)`,
  ),
  change(
    "whose adapter is a pipe",
    (at) => pipe(at("adapter_model.safetensors")),
    `${ADAPTER}: cannot be opened (it is a pipe or device)`,
  ),
  change(
    "whose adapter is transposed",
    (at) =>
      editHeader(at("adapter_model.safetensors"), (h) =>
        Object.values(h).forEach(({ shape }) => (shape as number[] | undefined)?.reverse()),
      ),
    new RegExp(`^${ADAPTER}: .*: expected shape \\(8, 32\\), got \\(32, 8\\)$`),
  ),
  {
    what: "a checkpoint of an adapter with another rank",
    flags: async (box) => ({ ...(await box.checkpoint(() => Promise.resolve())), lora_rank: 4 }),
    error: new RegExp(`^${DIR}: --lora_rank 4: this checkpoint has rank 8, and .*; give --lora_rank 8, or begin anew`),
  },
  {
    what: "a checkpoint of a run with LoRA for one without",
    flags: async (box) => ({ ...(await box.checkpoint(() => Promise.resolve())), use_peft: false }),
    error: new RegExp(`^${DIR}: --use_peft False: this checkpoint holds an adapter, .*; give --use_peft True, or`),
  },
  {
    what: "overwriting the checkpoint that the run reads",
    flags: async (box) => {
      const { output_dir } = await box.checkpoint(async (at) => {
        await rm(at("medgpt.json"), { force: true });
        await writeFile(at("notes.txt"), "");
      });
      return { output_dir, overwrite_output_dir: true, peft_path: box.at("output/checkpoint-2") };
    },
    error:
      "%s/output/checkpoint-2: --overwrite_output_dir would remove this folder, which the run reads; give another --output_dir",
  },
];
