/** trainer_state.json: where a run is and what it logged, in the layout of transformers' TrainerState. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError, writeFileAtomic } from "@medgpt/artifacts";

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

/** @throws InputError where the file is missing or lacks what resuming needs */
export async function readTrainerState(dir: string): Promise<TrainerState> {
  const place = join(dir, FILE);
  let state: Partial<TrainerState> | null;
  try {
    state = JSON.parse(await readFile(place, "utf8")) as Partial<TrainerState> | null;
  } catch (cause) {
    throw new InputError(`cannot be read (${(cause as Error).message}); the checkpoint is not complete`, {
      place,
      cause,
    });
  }
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  for (const key of ["global_step", "max_steps"] as const)
    if (!isCount(state?.[key]))
      throw new InputError(`expected a step count at "${key}", got ${JSON.stringify(state?.[key])}`, { place });
  if (!Array.isArray(state?.log_history)) throw new InputError('expected a list at "log_history"', { place });
  return state as TrainerState;
}

/** JSON with the keys of every object sorted, as Python's json.dumps(sort_keys=True). */
export function stringifySorted(value: unknown, indent: number): string {
  const sort = (_key: string, item: unknown): unknown =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : item;
  return JSON.stringify(value, sort, indent);
}
