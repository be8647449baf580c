import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import { goldenDir, hasGoldens, readCase } from "../testing/goldens.js";
import { loadNative } from "../run/native.js";
import { loadChatTemplate } from "./chat-template.js";
import { loadTokenizer } from "./load-tokenizer.js";
import { saveTokenizer } from "./save-tokenizer.js";
import type { Tokenizer } from "./tokenizer.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-tokenizer-"));
afterAll(() => rmSync(root, { recursive: true }));

interface Golden {
  prefix_ids_with_special_tokens: number[];
  vocab_size: number;
  ids: number[][];
  decode_differs_from_input: Record<string, string>;
  decode_skip_special_differs: Record<string, string>;
}

const hasNative = "native" in loadNative();
/** Names of the reference's tokenizers that can be run: of the models, and packed; of others there are only the ids. */
const TOKENIZERS = hasGoldens
  ? readdirSync(goldenDir("H_tokenizers"))
      .filter((file) => file.endsWith(".json") && file !== "strings.json")
      .map((file) => file.slice(0, -".json".length))
      .filter((name) => isPacked(name) || existsSync(join(modelDir(name), "tokenizer.json")))
  : [];

function isPacked(name: string): boolean {
  return existsSync(goldenDir("H_tokenizers", `${name}.tokenizer.json.gz`));
}

/** The folder of the tokenizer.json that the ids are of. */
function modelDir(name: string): string {
  const { tokenizer } = readCase<{ tokenizer: string }>(goldenDir("H_tokenizers"), `${name}.json`);
  return dirname(goldenDir("H_tokenizers", tokenizer));
}

describe.skipIf(!hasGoldens).each(["js", "native"] as const)("the %s engine", (engine) => {
  const load = async (name: string): Promise<Tokenizer> => {
    if (!isPacked(name)) return loadTokenizer(modelDir(name), { engine });
    const dir = mkdtempSync(join(root, name));
    writeFileSync(
      join(dir, "tokenizer.json"),
      gunzipSync(readFileSync(goldenDir("H_tokenizers", `${name}.tokenizer.json.gz`))),
    );
    return loadTokenizer(dir, { engine });
  };
  const readGolden = <T>(name: string): T =>
    JSON.parse(readFileSync(goldenDir("H_tokenizers", `${name}.json`), "utf8")) as T;

  it.skipIf(engine === "native" && !hasNative)(
    "has the reference's ids and texts for every string of every tokenizer",
    { timeout: 120_000 },
    async () => {
      const strings = readGolden<string[]>("strings");
      let compared = 0;
      for (const name of TOKENIZERS) {
        const golden = readGolden<Golden>(name);
        const tokenizer = await load(name);
        expect(tokenizer.engine).toBe(engine);
        expect(tokenizer.vocabSize).toBe(golden.vocab_size);
        const plain = await tokenizer.encodeBatch(strings, { addSpecialTokens: false });
        const full = await tokenizer.encodeBatch(strings);
        expect([plain.length, full.length, golden.ids.length]).toEqual([
          strings.length,
          strings.length,
          strings.length,
        ]);
        for (const [i, text] of strings.entries()) {
          const ids = golden.ids[i]!;
          const where = `${name}, string ${i}`;
          expect([...plain[i]!], where).toEqual(ids);
          expect([...full[i]!], where).toEqual([...golden.prefix_ids_with_special_tokens, ...ids]);
          const decoded = golden.decode_differs_from_input[i] ?? text;
          expect(tokenizer.decode(ids), where).toBe(decoded);
          expect(tokenizer.decode(plain[i]!, { skipSpecialTokens: true }), where).toBe(
            golden.decode_skip_special_differs[i] ?? decoded,
          );
          compared++;
        }
        expect(tokenizer.encode(strings[0]!)).toEqual(full[0]);
      }
      console.log(`${engine} tokenizer: ${compared} strings compared (${TOKENIZERS.length} tokenizers)`);
      expect(compared).toBeGreaterThan(0);
      expect(compared).toBe(TOKENIZERS.length * strings.length);
    },
  );

  it.skipIf(engine === "native" && !hasNative)("looks tokens up in both directions", async () => {
    for (const name of TOKENIZERS) {
      const tokenizer = await load(name);
      const { model, added_tokens } = readCase<{
        model: { vocab: Record<string, number> };
        added_tokens: { content: string; id: number }[];
      }>(tokenizer.dir, "tokenizer.json");
      const some = Object.entries(model.vocab).slice(0, 50);
      for (const [token, id] of [...some, ...added_tokens.map(({ content, id }) => [content, id] as const)]) {
        expect(tokenizer.tokenToId(token), name).toBe(id);
        expect(tokenizer.idToToken(id), name).toBe(token);
      }
      expect(tokenizer.tokenToId("no such token")).toBeUndefined();
      expect(tokenizer.idToToken(tokenizer.idCount)).toBeUndefined();
      expect(await tokenizer.encodeBatch([])).toEqual([]);
      expect(tokenizer.decode([])).toBe("");
    }
  });
});

/** A byte-level tokenizer with three tokens, for what does not depend on the vocabulary. */
const TINY = {
  version: "1.0",
  added_tokens: [
    { id: 2, content: "</s>", special: true, normalized: false, lstrip: false, rstrip: false, single_word: false },
  ],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: { type: "BPE", vocab: { a: 0, b: 1, "</s>": 2 }, merges: [] },
};

describe("loadTokenizer", () => {
  let count = 0;
  function folder(files: Record<string, unknown>): string {
    const dir = join(root, `t${count++}`);
    mkdirSync(dir);
    for (const [name, value] of Object.entries(files)) {
      writeFileSync(join(dir, name), typeof value === "string" ? value : JSON.stringify(value));
    }
    return dir;
  }
  const load = (files: Record<string, unknown>): Promise<Tokenizer> =>
    loadTokenizer(folder({ "tokenizer.json": TINY, ...files }), { engine: "js" });

  it("reads special tokens from strings, objects, the map and config.json, in transformers' order", async () => {
    expect(await load({})).toMatchObject({ bosId: undefined, eosId: undefined, padId: undefined, unkId: undefined });
    const config = { eos_token: { content: "</s>", special: true }, pad_token: null, unk_token: "a" };
    const model = { bos_token_id: 1, eos_token_id: [0, 1], pad_token_id: 99 };
    expect(await load({ "tokenizer_config.json": config, "config.json": model })).toMatchObject({
      bosId: 1,
      eosId: 2,
      padId: undefined,
      unkId: 0,
    });
    expect((await load({ "config.json": model })).eosId).toBe(0);
    const map = { eos_token: "b", pad_token: "a" };
    expect(await load({ "tokenizer_config.json": config, "special_tokens_map.json": map })).toMatchObject({
      eosId: 1,
      padId: 0,
    });
    const modern = { ...config, added_tokens_decoder: {} };
    expect(await load({ "tokenizer_config.json": modern, "special_tokens_map.json": map })).toMatchObject({
      eosId: 2,
      padId: 0,
    });
  });

  it.each([
    [{}, "right"],
    [{ padding_side: "left" }, "left"],
    [{ tokenizer_class: "LlamaTokenizer" }, "left"],
    [{ tokenizer_class: "GemmaTokenizerFast" }, "left"],
    [{ tokenizer_class: "PreTrainedTokenizerFast" }, "right"],
    [{ tokenizer_class: "LlamaTokenizer", padding_side: "right" }, "right"],
  ])("takes the padding side of %j", async (config, side) => {
    expect((await load({ "tokenizer_config.json": config })).paddingSide).toBe(side);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["broken JSON", { "tokenizer.json": '{"model": ' }, /tokenizer\.json:1:11: is not valid JSON/],
    ["no object", { "tokenizer.json": "[]" }, /tokenizer\.json: expected a JSON object, got \[\]/],
    [
      "no model",
      { "tokenizer.json": "{}" },
      /expected a tokenizer with a BPE.* model and its vocab, got the model nothing/,
    ],
    [
      "an unknown model",
      { "tokenizer.json": { ...TINY, model: { type: "New", vocab: {} } } },
      /got the model \{"type":"New","vocab":\{\}\}/,
    ],
    [
      "an unknown decoder",
      { "tokenizer.json": { ...TINY, decoder: { type: "New" } } },
      /is not a usable tokenizer \(.*New.*\); fetch it anew/,
    ],
    [
      "a special token that is not there",
      { "tokenizer_config.json": { eos_token: "<eos>" } },
      /tokenizer_config\.json: names the eos_token "<eos>", which tokenizer\.json does not have/,
    ],
    [
      "a special token that is no string",
      { "tokenizer_config.json": { bos_token: 1 } },
      /expected bos_token to be a string .*, got 1/,
    ],
    [
      "an unknown padding side",
      { "tokenizer_config.json": { padding_side: "top" } },
      /expected padding_side to be "left" or "right", got "top"/,
    ],
  ])("refuses %s", async (_, files, message) => {
    const failure = await load(files).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).not.toContain("\n");
  });

  it("says what to do in a folder without tokenizer.json", async () => {
    const dir = folder({ "tokenizer.model": "" });
    await expect(loadTokenizer(dir)).rejects.toThrow(
      `${dir}: expected a tokenizer.json in this folder, found none; make one`,
    );
  });

  it("lets other work run while it encodes a large batch", async () => {
    const tokenizer = await load({});
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const batch = await tokenizer.encodeBatch(Array.from({ length: 300 }, () => "ab ".repeat(2_000)));
    clearInterval(timer);
    expect(batch).toHaveLength(300);
    expect(turns).toBeGreaterThan(1);
  });

  it("saves exactly the tokenizer's files, byte for byte", async () => {
    const tokenizer = await load({
      "tokenizer_config.json": { eos_token: "</s>" },
      "chat_template.jinja": "{{ x }}",
      "config.json": {},
    });
    const target = join(root, "saved/deep");
    expect(await saveTokenizer(tokenizer, target)).toEqual([
      "tokenizer.json",
      "tokenizer_config.json",
      "chat_template.jinja",
    ]);
    expect(readdirSync(target).sort()).toEqual(["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"]);
    for (const name of tokenizer.files)
      expect(readFileSync(join(target, name))).toEqual(readFileSync(join(tokenizer.dir, name)));
    expect((await loadTokenizer(target, { engine: "js" })).digest).toBe(tokenizer.digest);
  });

  it("saves another chat template in place of its own, and leaves none of a run before", async () => {
    const tokenizer = await load({ "tokenizer_config.json": { chat_template: "own" } });
    const target = join(root, "templates");
    expect(await saveTokenizer(tokenizer, target, "other")).toContain("chat_template.jinja");
    expect((await loadChatTemplate(target))?.source).toBe("other");
    expect((await loadChatTemplate(tokenizer.dir, target))?.source).toBe("other"); // an adapter's over its base's
    await saveTokenizer(tokenizer, target);
    expect((await loadChatTemplate(target))?.source).toBe("own");
  });
});
