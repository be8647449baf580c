import { InputError } from "@medgpt/artifacts";
import type { Base } from "../models/base.js";
import { freshAdapter, openAdapter, type Adapter } from "../nn/adapter.js";
import type { Warn } from "../json/known-keys.js";
import { suffixes, type LoraConfig, type LoraTargets } from "../checkpoint/lora-config.js";
import { seededRandom } from "../numeric/seeded-random.js";
import type { StageFlags } from "./flags.js";

/** The flags that describe an adapter. */
export type AdapterFlags = Pick<
  StageFlags,
  | "peft_path"
  | "lora_rank"
  | "lora_alpha"
  | "lora_dropout"
  | "use_rslora"
  | "target_modules"
  | "modules_to_save"
  | "seed"
>;

/**
 * The adapter that the flags describe, or the one at peft_path, whose own configuration wins.
 * @throws InputError when a flag that the user gave contradicts the adapter at peft_path
 */
export async function attachAdapter(
  base: Base,
  config: AdapterFlags,
  given: ReadonlySet<string>,
  warn: Warn,
): Promise<Adapter> {
  if (config.peft_path !== null) {
    const adapter = await openAdapter(base, config.peft_path, warn);
    const { config: lora } = adapter;
    if (adapter.hasOtherVocabulary)
      throw new InputError(
        "the adapter has an embedding and a head of its own, so that its vocabulary is another than the model's; merge the two with medgpt merge and train the merged model",
        { place: config.peft_path },
      );
    const own: Readonly<Record<string, unknown>> = {
      lora_rank: lora.r,
      lora_alpha: lora.lora_alpha,
      lora_dropout: lora.lora_dropout,
      use_rslora: lora.use_rslora,
    };
    for (const [flag, value] of Object.entries(own)) {
      const asked = config[flag as keyof AdapterFlags];
      if (given.has(flag) && asked !== value)
        throw new InputError(
          `--${flag} ${shown(asked)}: the adapter at --peft_path has ${shown(value)}; leave the flag out`,
          { place: config.peft_path },
        );
    }
    const saved = config.modules_to_save ?? [];
    if (given.has("modules_to_save") && [...saved].sort().join() !== [...lora.modules_to_save].sort().join())
      throw new InputError(
        `--modules_to_save ${saved.join(",") || "None"}: the adapter at --peft_path has ${lora.modules_to_save.join(",") || "none"}; leave the flag out`,
        { place: config.peft_path },
      );
    if (given.has("target_modules") && !sameTargets(base, config.target_modules, lora))
      throw new InputError(
        `--target_modules ${config.target_modules.join(",")}: the adapter at --peft_path has other targets; leave the flag out`,
        { place: config.peft_path },
      );
    return adapter;
  }
  const targets = config.target_modules;
  const lora: LoraConfig = {
    r: config.lora_rank,
    lora_alpha: config.lora_alpha,
    lora_dropout: config.lora_dropout,
    target_modules: targets.includes("all") ? suffixes(base.linears) : targets,
    use_rslora: config.use_rslora,
    modules_to_save: config.modules_to_save ?? [],
  };
  return freshAdapter(base, lora, seededRandom(config.seed));
}

function sameTargets(base: Base, asked: readonly string[], own: LoraConfig): boolean {
  const list = asked.includes("all") ? suffixes(base.linears) : asked;
  const resolve = (targets: LoraTargets) => base.targets(targets).join();
  return resolve({ target_modules: list, modules_to_save: own.modules_to_save }) === resolve(own);
}

/** A value as it is written on a command line. */
function shown(value: unknown): string {
  return value === true ? "True" : value === false ? "False" : String(value);
}
