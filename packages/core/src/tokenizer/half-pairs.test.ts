import { describe, expect, it } from "vitest";
import { goldenDir, goldenModels } from "../testing/goldens.js";
import { loadTokenizer } from "./load-tokenizer.js";

const models = goldenModels("tokenizer.json");

describe.skipIf(models.length === 0)("half of a surrogate pair", () => {
  it.each(models)("is U+FFFD to both engines of %s, one text or many", async (model) => {
    for (const engine of ["native", "js"] as const) {
      const tokenizer = await loadTokenizer(goldenDir("A_models", model), { engine }).catch(() => undefined);
      if (tokenizer === undefined) continue; // without the native library
      for (const text of ["喝水 \ud83d", "\udd27a", "\udd27\ud83e", "\ud83d\ud83e\udd27"]) {
        const expected = [...tokenizer.encode(text.replace(/\p{Surrogate}/gu, "\ufffd"))];
        expect([...tokenizer.encode(text)]).toEqual(expected);
        expect([...(await tokenizer.encodeBatch([text]))[0]!]).toEqual(expected);
      }
    }
  });
});
