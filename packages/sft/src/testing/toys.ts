/** Toys with a few conversations to fine-tune on. */
import { Toys } from "@medgpt/core/testing";
import { command } from "../command.js";

const QUESTIONS = ["What helps against a fever?", "咳嗽三天怎么办？", "Is it serious?", "可以喝水吗？"];
const ANSWERS = ["Rest and water.", "多喝水，注意休息。", "No.", "可以。"];

/** A conversation of so many turns; no two numbers give the same. */
export function chat(number: number, turns: number): { from: string; value: string }[] {
  return Array.from({ length: turns }, (_, turn) => [
    { from: "human", value: `${QUESTIONS[(number + turn) % 4]} ${number}` },
    { from: "gpt", value: `${ANSWERS[(number + turn) % 4]} ${turn}` },
  ]).flat();
}

/** With `chats/` of 20 conversations of one to three turns, `held/` of six. */
export async function makeToys(): Promise<Toys> {
  const toys = await Toys.make(command, ({ at }) => ({
    model_name_or_path: at("llama"),
    template_name: "ziya",
    train_file_dir: at("chats"),
    cache_dir: at("cache"),
    torch_dtype: "float32",
    do_train: true,
    model_max_length: 128,
    per_device_train_batch_size: 2,
    per_device_eval_batch_size: 2,
    learning_rate: 0.01,
    num_train_epochs: 1,
    logging_steps: 1,
    save_strategy: "no",
  }));
  const lines = (from: number, count: number): string =>
    Array.from(
      { length: count },
      (_, index) => JSON.stringify({ conversations: chat(from + index, 1 + (index % 3)) }) + "\n",
    ).join("");
  await toys.write("chats/train.jsonl", lines(0, 20));
  await toys.write("held/validation.jsonl", lines(100, 6));
  return toys;
}
