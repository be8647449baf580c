/** trainer_state.json: where a run is and what it logged, in the layout of transformers' TrainerState. */
import { join } from "node:path";
import { InputError, writeFileAtomic } from "@medgpt/artifacts";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";

export type LogRow = Readonly<Record<string, number>>;

export interface TrainerState {
  best_global_step: number | null;
  best_metric: number | null;
  best_model_checkpoint: string | null;
  epoch: number;
  eval_steps: number;
  global_step: number;
  log_history: LogRow[];
  logging_steps: number;
  max_steps: number;
  num_input_tokens_seen: number;
  num_train_epochs: number;
  save_steps: number;
  total_flos: number;
  train_batch_size: number;
}

/** Of a run that has not begun. */
export const newTrainerState = () => ({
  ...{ best_global_step: null, best_metric: null, best_model_checkpoint: null },
  ...{ epoch: 0, global_step: 0, log_history: [], num_input_tokens_seen: 0, total_flos: 0 },
});

/** What transformers writes beside it and a single-process run never changes. */
const CONSTANT = {
  is_hyper_param_search: false,
  is_local_process_zero: true,
  is_world_process_zero: true,
  stateful_callbacks: {},
  trial_name: null,
  trial_params: null,
};

const FILE = "trainer_state.json";

export async function writeTrainerState(dir: string, state: TrainerState): Promise<void> {
  await writeFileAtomic(join(dir, FILE), stringifySorted({ ...CONSTANT, ...state }, 2) + "\n");
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber = (value: unknown) => Number.isFinite(value);
const isNumberOrNull = (value: unknown) => value === null || isNumber(value);

/** What of a state a resumed run goes on with: each is what we wrote, or the file was damaged. */
const READ: readonly (readonly [keyof TrainerState, string, (value: unknown) => boolean])[] = [
  ["global_step", "a step count", isCount],
  ["max_steps", "a step count", isCount],
  ["num_input_tokens_seen", "a count", isCount],
  ["epoch", "a number", isNumber],
  ["total_flos", "a number", isNumber],
  ["best_metric", "a number or null", isNumberOrNull],
  ["best_global_step", "a step count or null", (value) => value === null || isCount(value)],
  ["best_model_checkpoint", "a path or null", (value) => value === null || typeof value === "string"],
  ["log_history", "a list of objects with numbers", isLog],
];

function isLog(value: unknown): boolean {
  return Array.isArray(value) && value.every((row) => isJsonObject(row) && Object.values(row).every(isNumberOrNull));
}

/** @throws InputError where the file is missing or lacks what resuming needs */
export async function readTrainerState(dir: string): Promise<TrainerState> {
  const place = join(dir, FILE);
  const state = await readJsonObject(place);
  if (state === undefined)
    throw new InputError("is missing, so the checkpoint is not complete; resume from another one", { place });
  for (const [key, expected, check] of READ)
    if (!check(state[key]))
      throw new InputError(`expected ${expected} at "${key}", got ${describeJson(state[key])}`, { place });
  return state as unknown as TrainerState;
}

/** JSON with the keys of every object sorted, as Python's json.dumps(sort_keys=True). */
export function stringifySorted(value: unknown, indent: number): string {
  const sort = (_key: string, item: unknown): unknown =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : item;
  return JSON.stringify(value, sort, indent);
}
