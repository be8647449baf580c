/** Tokens that stand in other files than tokenizer.json, by both engines. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadNative } from "../run/native.js";
import { caseDir, goldenDir, goldenModels, hasCases, readCase } from "../testing/goldens.js";
import { loadTokenizer } from "./load-tokenizer.js";
import { saveTokenizer } from "./save-tokenizer.js";
import type { Tokenizer } from "./tokenizer.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-added-"));
afterAll(() => rmSync(root, { recursive: true }));

const token = (id: number, content: string, flags: object = {}) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
  ...flags,
});

/** Letters, a space and two special tokens of which one is not added; the next free id is 30. */
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz", "Ġ", "<pad>"];
const TINY = {
  version: "1.0",
  added_tokens: [token(28, "</s>"), token(29, "<s>", { special: false })],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: { type: "BPE", vocab: Object.fromEntries(LETTERS.map((letter, id) => [letter, id])), merges: [] },
};

let count = 0;
function folder(files: Record<string, unknown>): string {
  const dir = join(root, `t${count++}`);
  mkdirSync(dir);
  for (const [name, value] of Object.entries({ "tokenizer.json": TINY, ...files }))
    writeFileSync(join(dir, name), JSON.stringify(value));
  return dir;
}

const engines = "native" in loadNative() ? (["native", "js"] as const) : (["js"] as const);

describe.each(engines)("the %s engine", (engine) => {
  async function load(files: Record<string, unknown>) {
    const said: string[] = [];
    const dir = folder(files);
    const tokenizer = await loadTokenizer(dir, { engine, warn: (text) => said.push(text.replace(dir + "/", "")) });
    const ids = (text: string): number[] => [...tokenizer.encode(text, { addSpecialTokens: false })];
    return { tokenizer, ids, said, shown: (text: string) => tokenizer.decode(ids(text), { skipSpecialTokens: true }) };
  }
  const decoder = (...tokens: (readonly [number, object])[]) => ({
    "tokenizer_config.json": { added_tokens_decoder: Object.fromEntries(tokens) },
  });

  it("adds tokens of added_tokens_decoder, with their flags and at their ids", async () => {
    const { tokenizer, ids, said, shown } = await load(
      decoder(
        [31, { content: "<b>", special: true, lstrip: true }],
        [30, { content: "<a>", special: false, rstrip: true }],
        [32, { content: "cat", special: false, single_word: true }],
      ),
    );
    expect(ids("x<a> y <b>z")).toEqual([23, 30, 24, 31, 25]);
    expect(ids("cat concat cats (cat)")).toEqual([
      ...[32, 26, 2, 14, 13, 2, 0, 19, 26, 2, 0, 19, 18, 26],
      ...ids("("),
      32,
      ...ids(")"),
    ]);
    expect(shown("x<a>y<b>z")).toBe("x<a>yz");
    expect([tokenizer.vocabSize, tokenizer.idCount, said]).toEqual([33, 33, []]);
  });

  it("adds a token of the vocabulary where it is", async () => {
    const { ids, tokenizer } = await load(decoder([27, { content: "<pad>", special: true }]));
    expect(ids("a<pad>")).toEqual([0, 27]);
    expect(tokenizer.vocabSize).toBe(30);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "another id",
      decoder([31, { content: "<a>" }]),
      /tokenizer_config\.json: added_tokens_decoder\["31"\]: gives "<a>" the id 31, but the next free id is 30; save the tokenizer again/,
    ],
    ["an id that another token has", decoder([3, { content: "<a>" }]), /but tokenizer\.json has "d" there/],
    ["an id that an added token has", decoder([28, { content: "<a>" }]), /but tokenizer\.json has "<\/s>" there/],
    ["another id of the same token", decoder([30, { content: "</s>" }]), /but tokenizer\.json gives it 28/],
    ["an id that is none", decoder(["x" as never, { content: "<a>" }]), /expected an id from 0, got "x"/],
    ["no content", decoder([30, {}]), /\["30"\]: expected an object with a string "content", got \{\}/],
    [
      "added_tokens.json with another id",
      { "added_tokens.json": { "<a>": 40 } },
      /added_tokens\.json: "<a>": gives .* 40/,
    ],
    [
      "tokens that are no list",
      { "tokenizer_config.json": { additional_special_tokens: "<a>" } },
      /expected additional_special_tokens to be a list of tokens, got "<a>"/,
    ],
  ])("refuses %s", async (_, files, message) => {
    await expect(load(files)).rejects.toThrow(message);
  });

  it("takes the flags of added_tokens_decoder over those of tokenizer.json, but for a token that is special", async () => {
    const { shown, ids } = await load(
      decoder([28, { content: "</s>", special: false, rstrip: true }], [29, { content: "<s>", special: true }]),
    );
    expect(shown("a</s> b<s>")).toBe("ab");
    expect(ids("a</s> b")).toEqual([0, 28, 1]);
  });

  it("makes the tokens special that have a name", async () => {
    expect((await load({})).shown("<s>a")).toBe("<s>a");
    const named = await load({ "tokenizer_config.json": { bos_token: "<s>", pad_token: "<pad>" } });
    expect(named.shown("<s>a<pad>")).toBe("a");
    expect(named.tokenizer).toMatchObject({ bosId: 29, padId: 27, vocabSize: 30 });
    const map = await load({ "special_tokens_map.json": { bos_token: { content: "<s>", lstrip: false } } });
    expect(map.shown("<s>a")).toBe("a");
  });

  it("adds special tokens that no file gives an id at the next free ones, and says so", async () => {
    const config = { extra_special_tokens: ["<y>", { content: "<z>", rstrip: true }], image_token: "<image>" };
    const { ids, said, shown } = await load({ "tokenizer_config.json": { ...config, cls_token: "<cls>" } });
    expect(ids("<cls><image><y><z> a")).toEqual([30, 31, 32, 33, 0]);
    expect(shown("<cls>a<image>b<y>c<z>")).toBe("abc");
    expect(said[0]).toBe(
      'tokenizer_config.json: cls_token "<cls>" is in no vocabulary; it is added as the new token 30, as transformers adds it',
    );
    expect(said).toHaveLength(4);
    const old = await load({ "special_tokens_map.json": { additional_special_tokens: ["<y>"] } });
    expect(old.ids("<y>")).toEqual([30]);
  });

  it("reads added_tokens.json, and not beside added_tokens_decoder", async () => {
    const added = { "added_tokens.json": { "<a>": 31, "<b>": 30 } };
    const { ids, shown, said } = await load({
      ...added,
      "special_tokens_map.json": { additional_special_tokens: ["<a>"] },
    });
    expect(ids("<a><b>")).toEqual([31, 30]);
    expect([shown("x<a><b>"), said]).toEqual(["x<b>", []]);
    expect((await load({ ...added, ...decoder([28, { content: "</s>" }]) })).ids("<a>")).not.toContain(31);
  });

  it("keeps them when the tokenizer is saved", async () => {
    const { tokenizer } = await load(decoder([30, { content: "<a>", special: true }]));
    await saveTokenizer(tokenizer, join(root, `saved-${engine}`));
    const again = await loadTokenizer(join(root, `saved-${engine}`), { engine });
    expect([...again.encode("<a>")]).toEqual([30]);
    expect(again.digest).toBe(tokenizer.digest);
    expect((await load({})).tokenizer.digest).not.toBe(tokenizer.digest);
  });
});

/** The model whose tokenizer the case has, with the added tokens in another file. */
const split = hasCases ? caseDir("02-config-only-tokens", "tokenizer") : "";
const whole = goldenModels("tokenizer.json")
  .map((name) => goldenDir("A_models", name))
  .find((dir) => hasCases && vocabularyOf(dir) === vocabularyOf(split));

function vocabularyOf(dir: string): string {
  return JSON.stringify(readCase<{ model: { vocab: unknown } }>(dir, "tokenizer.json").model.vocab);
}

describe.skipIf(whole === undefined)("a folder whose tokens are split over two files", () => {
  it("gives the ids of one that has them in tokenizer.json", async () => {
    const strings = JSON.parse(readFileSync(goldenDir("H_tokenizers", "strings.json"), "utf8")) as string[];
    const texts = [...strings, "<think>先问</think> 两周", "a <tool_call>\n</think>"];
    const one = await loadTokenizer(whole!);
    const dirs = [split, join(root, "halves")];
    // Every added token in the other file.
    cpSync(whole!, dirs[1]!, { recursive: true });
    const read = (name: string) => JSON.parse(readFileSync(join(dirs[1]!, name), "utf8")) as Record<string, unknown>;
    const [json, config] = [read("tokenizer.json"), read("tokenizer_config.json")];
    const added = json["added_tokens"] as { id: number }[];
    const write = (name: string, value: unknown) => {
      rmSync(join(dirs[1]!, name), { force: true });
      writeFileSync(join(dirs[1]!, name), JSON.stringify(value));
    };
    write("tokenizer.json", { ...json, added_tokens: [] });
    write("tokenizer_config.json", {
      ...config,
      added_tokens_decoder: Object.fromEntries(added.map(({ id, ...rest }) => [id, rest])),
    });
    const same = async (tokenizer: Tokenizer): Promise<void> => {
      expect(await tokenizer.encodeBatch(texts)).toEqual(await one.encodeBatch(texts));
      for (const text of texts)
        expect(tokenizer.decode(tokenizer.encode(text), { skipSpecialTokens: true })).toBe(
          one.decode(one.encode(text), { skipSpecialTokens: true }),
        );
    };
    for (const dir of dirs) for (const engine of engines) await same(await loadTokenizer(dir, { engine }));
  });
});
