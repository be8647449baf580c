/** Toys with a little text to pretrain on. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { sample, Toys } from "@medgpt/core/testing";
import { command } from "../command.js";

/** With `text/` of some 25 blocks of 32 tokens. */
export async function makeToys(): Promise<Toys> {
  const toys = await Toys.make(command, ({ at }) => ({
    model_name_or_path: at("llama"),
    train_file_dir: at("text"),
    cache_dir: at("cache"),
    do_train: true,
    block_size: 32,
    per_device_train_batch_size: 2,
    per_device_eval_batch_size: 2,
    learning_rate: 0.01,
    num_train_epochs: 1,
    logging_steps: 1,
    save_strategy: "no",
  }));
  const lines = async (file: string): Promise<string[]> =>
    (await readFile(join(sample, "pretrain", file), "utf8")).split("\n");
  await toys.write("text/one.txt", (await lines("synthetic-en.txt")).slice(0, 9).join("\n"));
  await toys.write("text/below/two.jsonl", (await lines("synthetic-mixed.jsonl")).slice(0, 5).join("\n"));
  await toys.write("held/three.txt", (await lines("synthetic-zh.txt")).slice(0, 4).join("\n"));
  return toys;
}
