import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { goldenDir, hasGoldens, sharedDir } from "../testing/goldens.js";
import { loadTokenizer } from "./load-tokenizer.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-keys-"));
afterAll(() => rmSync(root, { recursive: true }));

const BYTES = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const ADDED = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
const NAMES = ["<unk>", "<s>", "</s>", "<pad>"];
/** Writes <s> before a text, as Llama, Mistral and Gemma do. */
const WITH_BOS = {
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
};
const json = (parts: object = {}) => ({
  version: "1.0",
  added_tokens: NAMES.map((content, id) => ({ id, content, ...ADDED })),
  normalizer: null,
  pre_tokenizer: BYTES,
  post_processor: null,
  decoder: null,
  model: { type: "BPE", vocab: Object.fromEntries([...NAMES, "a", "▁"].map((piece, id) => [piece, id])), merges: [] },
  ...parts,
});
const PREPEND = { normalizer: { type: "Prepend", prepend: "▁" }, pre_tokenizer: null };
const METASPACE = { pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false } };

let count = 0;
async function said(config: object, parts: object = {}, map?: object): Promise<string[]> {
  const dir = join(root, `t${count++}`);
  mkdirSync(dir);
  const files = {
    "tokenizer.json": json(parts),
    "tokenizer_config.json": config,
    ...(map && { "special_tokens_map.json": map }),
  };
  for (const [name, value] of Object.entries(files)) writeFileSync(join(dir, name), JSON.stringify(value));
  const lines: string[] = [];
  await loadTokenizer(dir, { engine: "js", warn: (text) => lines.push(text.replace(`${dir}/`, "")) });
  return lines;
}

const decoder = (...names: number[]) => Object.fromEntries(names.map((id) => [id, { content: NAMES[id], ...ADDED }]));

describe("the keys of tokenizer_config.json", () => {
  const special = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" };
  const large = 1000000000000000019884624838656;
  // As these families have them, with the names of the small vocabulary above.
  it.each<[string, object, object]>([
    [
      "Qwen 2.5",
      {
        add_bos_token: false,
        add_prefix_space: false,
        added_tokens_decoder: decoder(2, 3),
        additional_special_tokens: ["</s>", "<pad>"],
        bos_token: null,
        chat_template: "{{ messages }}",
        clean_up_tokenization_spaces: false,
        eos_token: "</s>",
        errors: "replace",
        model_max_length: 131072,
        pad_token: "<pad>",
        split_special_tokens: false,
        tokenizer_class: "Qwen2Tokenizer",
        unk_token: null,
      },
      {},
    ],
    [
      "Llama 2",
      {
        add_bos_token: true,
        add_eos_token: false,
        bos_token: { __type: "AddedToken", content: "<s>", ...ADDED },
        eos_token: { __type: "AddedToken", content: "</s>", ...ADDED },
        unk_token: { __type: "AddedToken", content: "<unk>", ...ADDED },
        clean_up_tokenization_spaces: false,
        legacy: false,
        model_max_length: large,
        pad_token: null,
        padding_side: "right",
        sp_model_kwargs: {},
        tokenizer_class: "LlamaTokenizer",
      },
      { ...PREPEND, post_processor: WITH_BOS },
    ],
    [
      "Llama 3",
      {
        added_tokens_decoder: decoder(1, 2),
        bos_token: "<s>",
        eos_token: "</s>",
        clean_up_tokenization_spaces: true,
        model_input_names: ["input_ids", "attention_mask"],
        model_max_length: 131072,
        tokenizer_class: "PreTrainedTokenizerFast",
      },
      { post_processor: WITH_BOS },
    ],
    [
      "Mistral",
      {
        ...special,
        add_bos_token: true,
        add_eos_token: false,
        add_prefix_space: true,
        added_tokens_decoder: decoder(0, 1, 2),
        additional_special_tokens: [],
        clean_up_tokenization_spaces: false,
        legacy: false,
        model_max_length: large,
        pad_token: null,
        sp_model_kwargs: {},
        spaces_between_special_tokens: false,
        tokenizer_class: "LlamaTokenizer",
        use_default_system_prompt: false,
      },
      { ...METASPACE, post_processor: WITH_BOS },
    ],
    [
      "Gemma",
      {
        ...special,
        add_bos_token: true,
        add_eos_token: false,
        added_tokens_decoder: decoder(0, 1, 2, 3),
        additional_special_tokens: ["<pad>"],
        boi_token: "<pad>",
        extra_special_tokens: { boi_token: "<pad>" },
        clean_up_tokenization_spaces: false,
        model_max_length: large,
        pad_token: "<pad>",
        processor_class: "Gemma3Processor",
        sp_model_kwargs: null,
        spaces_between_special_tokens: false,
        tokenizer_class: "GemmaTokenizer",
        use_default_system_prompt: false,
      },
      {
        pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false },
        post_processor: WITH_BOS,
      },
    ],
    [
      "GPT-2",
      { add_bos_token: false, errors: "replace", model_max_length: 1024, tokenizer_class: "GPT2Tokenizer" },
      {},
    ],
    [
      "Bloom",
      {
        ...special,
        add_prefix_space: false,
        model_max_length: large,
        name_or_path: "bigscience/tokenizer",
        pad_token: "<pad>",
        padding_side: "left",
        special_tokens_map_file: null,
        tokenizer_class: "BloomTokenizerFast",
      },
      {},
    ],
  ])("of %s are all known", async (_, config, parts) => {
    expect(await said(config, parts)).toEqual([]);
  });

  it.skipIf(!hasGoldens)("of every real folder are all known", async () => {
    const sample = fileURLToPath(new URL("../../../../datasets/sample/tokenizer", import.meta.url));
    const folders = [goldenDir("A_models"), join(sharedDir, "models")].flatMap((dir) =>
      readdirSync(dir).map((name) => join(dir, name)),
    );
    const dirs = [sample, ...folders].filter((dir) => existsSync(join(dir, "tokenizer_config.json")));
    expect(dirs.length).toBeGreaterThan(1);
    for (const dir of dirs) {
      const lines: string[] = [];
      await loadTokenizer(dir, { engine: "js", warn: (text) => lines.push(text) });
      expect(lines, dir).toEqual([]);
    }
  });

  it("are named in a line where they are unknown and ask for something", async () => {
    expect(await said({ shrink_vowels: true, other: null, more: false }, {}, { odd: "x" })).toEqual([
      'tokenizer_config.json: "shrink_vowels" is true, which is not known here and not acted on',
      'special_tokens_map.json: "odd" is "x", which is not known here and not acted on',
    ]);
  });

  it.each([
    [
      { add_bos_token: true, bos_token: "<s>" },
      {},
      '"add_bos_token" is true, but tokenizer.json does not add the bos_token',
    ],
    [
      { add_bos_token: false, bos_token: "<s>" },
      { post_processor: WITH_BOS },
      '"add_bos_token" is false, but tokenizer.json adds',
    ],
    [
      { add_eos_token: true, eos_token: "</s>" },
      {},
      '"add_eos_token" is true, but tokenizer.json does not add the eos_token',
    ],
  ])("that tokenizer.json overrules are named: %j", async (config, parts, line) => {
    expect(await said(config, parts)).toEqual([expect.stringContaining(line)]);
  });

  it("say that spaces stay before punctuation where they are asked to go", async () => {
    const words = { model: { type: "WordLevel", vocab: { "<unk>": 0, a: 1 }, unk_token: "<unk>" }, added_tokens: [] };
    expect(await said({ clean_up_tokenization_spaces: true }, words)).toEqual([
      expect.stringContaining('"clean_up_tokenization_spaces" is true, which is not acted on'),
    ]);
  });

  it.each([
    [{ split_special_tokens: true }, {}, "split_special_tokens true is not supported: special tokens in a text"],
    [{ fix_mistral_regex: true }, {}, "fix_mistral_regex true is not supported"],
    [
      { add_prefix_space: true, tokenizer_class: "GPT2Tokenizer" },
      {},
      "add_prefix_space true contradicts tokenizer.json, which puts no space before a text; take the key out",
    ],
    [{ add_prefix_space: false, tokenizer_class: "LlamaTokenizerFast" }, METASPACE, "puts a space before a text"],
    [{ add_prefix_space: false, tokenizer_class: "LlamaTokenizer" }, PREPEND, "puts a space before a text"],
    [
      { do_lower_case: true, tokenizer_class: "BertTokenizer" },
      {},
      "do_lower_case true contradicts tokenizer.json, which keeps capitals",
    ],
  ])("are refused where they change the text that is learnt: %j", async (config, parts, message) => {
    await expect(said(config, parts)).rejects.toThrow(message);
  });

  it("are left alone by classes that take everything from tokenizer.json", async () => {
    for (const tokenizer_class of ["PreTrainedTokenizerFast", "TokenizersBackend", undefined])
      expect(await said({ tokenizer_class, add_prefix_space: true, do_lower_case: true })).toEqual([]);
  });
});
