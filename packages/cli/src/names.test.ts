import { fieldsOf, type Command } from "@medgpt/core/config";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "./commands.js";

const MODEL = ["model_name_or_path", "base_model", "model"];
const ADAPTER = ["adapter", "lora_model", "peft_path"];
const TOKENIZER = ["tokenizer_name_or_path", "tokenizer_path", "tokenizer"];

/** The field that each of these names gives in a command such as "data lint". */
async function fields(name: string, names: readonly string[]): Promise<(string | undefined)[]> {
  const [first, second] = name.split(" ");
  const found = await COMMANDS.find((entry) => entry.name === first)!.load();
  const command =
    "commands" in found ? ((await found.commands.find((entry) => entry.name === second)!.load()) as Command) : found;
  const all = fieldsOf(command.config);
  return names.map((each) => all.find((field) => field.name === each || field.alias.includes(each))?.name);
}

const same = (name: string, count: number): string[] => Array<string>(count).fill(name);

describe("a thing with many names", () => {
  it.each(["generate", "chat", "merge", "pretrain", "sft"])(
    "has all of them in %s, and one in its help",
    async (name) => {
      expect(await fields(name, MODEL)).toEqual(same("model_name_or_path", 3));
      expect(await fields(name, TOKENIZER)).toEqual(same("tokenizer_name_or_path", 3));
      // The training scripts' name is their own.
      const adapter = ["pretrain", "sft"].includes(name) ? "peft_path" : "adapter";
      expect(await fields(name, ADAPTER)).toEqual(same(adapter, 3));
    },
  );

  it.each([
    ["inspect sample", "model_name_or_path"],
    ["data lint", "tokenizer_name_or_path"],
    ["data stats", "tokenizer_name_or_path"],
  ])("has those of model and tokenizer alike in %s, which reads tokenizers alone", async (name, shown) => {
    expect(await fields(name, [...MODEL, ...TOKENIZER])).toEqual(same(shown, 6));
  });
});
