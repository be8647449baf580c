/** The special tokens of a tokenizer's folder, by their ids in the engine. */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";
import { isLegacy, listAddedTokens, type TokenizerJsons } from "./added-tokens.js";
import type { TokenizerEngine } from "./engine.js";
import type { Tokenizer } from "./tokenizer.js";

/** Added tokens that are marked as special, or that the folder names for a purpose. */
export function specialTokens(
  json: Record<string, unknown>,
  named: Readonly<Record<string, number | undefined>>,
  engine: TokenizerEngine,
): ReadonlyMap<string, number> {
  const tokens = new Map<string, number>();
  for (const { content, special } of listAddedTokens(json)) {
    const id = typeof content === "string" ? engine.tokenToId(content) : undefined;
    if (id !== undefined && (special === true || Object.values(named).includes(id))) tokens.set(content as string, id);
  }
  return tokens;
}

/** The ids of bos, eos, pad and unk; undefined for one that the folder does not name. */
export async function specialTokenIds(
  { dir, config, map }: TokenizerJsons,
  engine: TokenizerEngine,
): Promise<Pick<Tokenizer, "bosId" | "eosId" | "padId" | "unkId">> {
  const modelConfig = (await readJsonObject(join(dir, "config.json"))) ?? {};
  // transformers lets the map win over configs from before added_tokens_decoder, and does not read it otherwise.
  const sources: [string, Readonly<Record<string, unknown>>][] = [["tokenizer_config.json", config]];
  if (isLegacy(config)) sources.unshift(["special_tokens_map.json", map]);
  else sources.push(["special_tokens_map.json", map]);

  const idOf = (name: "bos" | "eos" | "pad" | "unk"): number | undefined => {
    const key = `${name}_token`;
    for (const [file, values] of sources) {
      const value = values[key];
      if (value === undefined || value === null) continue;
      const token = isJsonObject(value) ? value["content"] : value;
      if (typeof token !== "string") {
        throw new InputError(
          `expected ${key} to be a string or an object with a string "content", got ${describeJson(value)}`,
          { place: join(dir, file) },
        );
      }
      const id = engine.tokenToId(token);
      if (id === undefined) {
        throw new InputError(
          `names the ${key} ${describeJson(token)}, which tokenizer.json does not have; add it there (transformers: add_special_tokens, save_pretrained) or take the key out`,
          { place: join(dir, file) },
        );
      }
      return id;
    }
    const id = modelConfig[`${key}_id`];
    const [first] = Array.isArray(id) ? (id as unknown[]) : [id]; // Llama 3 lists several ends of text
    const isId = Number.isSafeInteger(first) && (first as number) >= 0 && (first as number) < 2 ** 31;
    return isId && engine.idToToken(first as number) !== undefined ? (first as number) : undefined;
  };
  return { bosId: idOf("bos"), eosId: idOf("eos"), padId: idOf("pad"), unkId: idOf("unk") };
}
