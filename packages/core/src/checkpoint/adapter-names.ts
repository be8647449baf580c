/** Names of the tensors of adapter files, as PEFT writes them and with what other writers leave in them. */
import { InputError } from "@medgpt/artifacts";
import type { TensorInfo } from "./safetensors.js";

/** What PEFT writes before a name. */
export const KEY_PREFIX = "base_model.model.";

/** Parts of names that wrappers of parallel, compiled and recomputed modules add. */
const WRAPPERS: ReadonlySet<string> = new Set([
  "module",
  "_orig_mod",
  "_fsdp_wrapped_module",
  "_checkpoint_wrapped_module",
]);

/** PEFT's name for an adapter that has been given none. */
const DEFAULT_NAME = "default";

const FACTOR = /^(.*\.lora_(?:embedding_)?[AB])(?:\.([^.]+))?$/;
const WHOLE = /^(.*)\.modules_to_save(?:\.([^.]+))?$/;

/** A tensor by its plain name, with the adapter's name that stood in it. */
interface Named {
  readonly name: string;
  readonly adapter: string | undefined;
}

/**
 * The tensors by plain name: `<module>.lora_A.weight`, `<module>.lora_B.weight`, `<module>.lora_embedding_A`, `…_B`, and full
 * parameter names of whole weights. The prefix "base_model.model." may be there several times or not at all, the adapter's
 * own name ("default") anywhere that PEFT has it while it trains. The base's copy of a module that is trained whole is left out.
 * @throws InputError where two tensors have the same plain name, or the file holds more than one adapter
 */
export function plainNames(tensors: ReadonlyMap<string, TensorInfo>, place: string): Map<string, TensorInfo> {
  const plain = new Map<string, TensorInfo>();
  const adapters = new Map<string, string>();
  for (const [key, info] of tensors) {
    const { name, adapter } = plainName(key);
    if (name.includes(".original_module.")) continue;
    if (adapter !== undefined && !adapters.has(adapter)) adapters.set(adapter, key);
    const [first, second] = adapters;
    if (first !== undefined && second !== undefined)
      throw new InputError(
        `holds two adapters, "${first[0]}" (${first[1]}) and "${second[0]}" (${second[1]}); save one of them alone`,
        { place },
      );
    const twin = plain.get(name);
    if (twin !== undefined)
      throw new InputError(`${twin.name} and ${key} both stand for ${name}; save the adapter again with PEFT`, {
        place,
      });
    plain.set(name, info);
  }
  return plain;
}

function plainName(key: string): Named {
  const parts = key.split(".").filter((part) => !WRAPPERS.has(part));
  while (parts[0] === "base_model" && parts[1] === "model") parts.splice(0, 2);
  // Weights lie one below the module, the factors of embeddings in it.
  const last = /^(weight|bias)$/.test(parts.at(-1) ?? "") ? parts.pop() : undefined;
  const end = last === undefined ? "" : `.${last}`;
  const owner = parts.join(".");
  const [, factor, ofFactor] = FACTOR.exec(owner) ?? [];
  if (factor !== undefined) return { name: factor + end, adapter: ofFactor };
  const [, module, ofModule] = WHOLE.exec(owner) ?? [];
  if (module !== undefined) return { name: module + end, adapter: ofModule };
  if (parts.at(-1) === "base_layer") parts.pop();
  else if (parts.at(-1) === DEFAULT_NAME) return { name: parts.slice(0, -1).join(".") + end, adapter: DEFAULT_NAME };
  return { name: parts.join(".") + end, adapter: undefined };
}
