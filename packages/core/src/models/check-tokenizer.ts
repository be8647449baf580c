import { InputError } from "@medgpt/artifacts";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Role } from "./role.js";

/** @throws InputError where a tokenizer has tokens, or ids, that the model has no embedding for */
export function checkTokenizer({ vocabSize, idCount, dir }: Tokenizer, { options }: Pick<Role, "options">): void {
  const what = vocabSize > options.vocabSize ? `${vocabSize} tokens` : `the id ${idCount - 1}`;
  if (vocabSize > options.vocabSize || idCount > options.vocabSize)
    throw new InputError(
      `the tokenizer has ${what} and the model only ${options.vocabSize} embeddings; give the tokenizer that it was trained with`,
      { place: dir },
    );
}
