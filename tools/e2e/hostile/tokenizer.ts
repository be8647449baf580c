import { rm, writeFile } from "node:fs/promises";
import { DEEP, editJson, folder, link, pipe, sparse, type HostileCase } from "./sandbox.js";

const FILE = "%s/model/tokenizer.json";
const CONFIG = "%s/model/tokenizer_config.json";
const unusable = new RegExp(`^${FILE}: is not a usable tokenizer \\(.*\\); fetch it anew`);
const noModel = new RegExp(
  `^${FILE}: expected a tokenizer with a BPE, Unigram, WordPiece or WordLevel model and its vocab, got`,
);

const noId = new RegExp(`^${FILE}: expected the id of "a" to be from 0 to 16777215, got `);

type Tokenizer = Parameters<Parameters<Parameters<HostileCase["flags"]>[0]["tokenizer"]>[0]>[0];
const tokenizer = (what: string, change: (tokenizer: Tokenizer) => unknown, error: string | RegExp): HostileCase => ({
  what: `a tokenizer with ${what}`,
  flags: (box) => box.tokenizer(change),
  error,
});
const file = (what: string, data: string | Uint8Array | undefined, error: string | RegExp): HostileCase => ({
  what: `a tokenizer.json ${what}`,
  flags: (box) => box.modelWith("tokenizer.json", data),
  error,
});
const config = (what: string, data: string, error: string | RegExp): HostileCase => ({
  what: `a tokenizer_config.json ${what}`,
  flags: (box) => box.modelWith("tokenizer_config.json", data),
  error,
});
const model = (type: string, rest: Record<string, unknown>) => (tokenizer: Tokenizer) => {
  tokenizer.model = { type, ...rest } as unknown as Tokenizer["model"];
};

export const tokenizers: readonly HostileCase[] = [
  file("that is not there", undefined, /^%s\/model: expected a tokenizer.json in this folder, found none/),
  file("of no bytes", "", `${FILE}:1:1: is not valid JSON from here on; write the file again or fetch it anew`),
  file(
    "that is not JSON",
    '{\n "model": BPE\n}',
    `${FILE}:2:11: is not valid JSON from here on; write the file again or fetch it anew`,
  ),
  file("that is a list", "[1]", `${FILE}: expected a JSON object, got [1]`),
  file(
    "that is not UTF-8",
    Buffer.from('{"model": "é"}', "latin1"),
    `${FILE}: expected JSON in UTF-8, but it has bytes that are not; save it as UTF-8`,
  ),
  file(
    "nested 100,000 levels deep",
    `{"model": ${DEEP}}`,
    `${FILE}: expected JSON of at most 200 levels, but it is nested deeper`,
  ),
  file(
    "that is a pointer of Git LFS",
    "version https://git-lfs.github.com/spec/v1\n",
    `${FILE}:1:1: is not valid JSON from here on; write the file again or fetch it anew`,
  ),
  {
    what: "a tokenizer.json that is a folder",
    flags: (box) => box.model((at) => folder(at("tokenizer.json"))),
    error: `${FILE}: expected a file, but this is a folder`,
  },
  {
    what: "a tokenizer.json that is a pipe",
    flags: (box) => box.model((at) => pipe(at("tokenizer.json"))),
    error: `${FILE}: expected a file, but this is a pipe or device`,
    process: true,
  },
  {
    what: "a tokenizer.json that is a device",
    flags: (box) => box.model((at) => link(at("tokenizer.json"), "/dev/zero")),
    error: `${FILE}: expected a file, but this is a pipe or device`,
  },
  {
    what: "a tokenizer.json that links to itself",
    flags: (box) => box.model((at) => link(at("tokenizer.json"), "tokenizer.json")),
    error: /^%s\/model\/tokenizer.json: cannot be read \(ELOOP/,
  },
  {
    what: "a tokenizer.json of 100 MB",
    flags: (box) => box.model((at) => sparse(at("tokenizer.json"), 100_000_000)),
    error: `${FILE}: expected a JSON file of at most 67108864 bytes, but it has 100000000`,
  },
  tokenizer("no model", (t) => delete (t as Partial<Tokenizer>).model, noModel),
  tokenizer("a model that is text", (t) => (t.model = "BPE" as unknown as Tokenizer["model"]), noModel),
  tokenizer("a model of another type", (t) => (t.model["type"] = "Char"), noModel),
  tokenizer("a vocab that is null", (t) => (t.model.vocab = null as unknown as Record<string, unknown>), unusable),
  tokenizer("a vocab that is a list", (t) => (t.model.vocab = ["a"] as unknown as Record<string, unknown>), unusable),
  tokenizer("an id in quotes", (t) => (t.model.vocab["a"] = "64"), noId),
  tokenizer("a negative id", (t) => (t.model.vocab["a"] = -1), noId),
  tokenizer("an id of 2^40", (t) => (t.model.vocab["a"] = 2 ** 40), noId),
  tokenizer("an id with a fraction", (t) => (t.model.vocab["a"] = 0.5), noId),
  tokenizer(
    "an id beyond the model's embeddings",
    (t) => (t.model.vocab["a"] = 5000),
    "%s/model: the tokenizer has the id 5000 and the model only 2000 embeddings; give the tokenizer that it was trained with",
  ),
  tokenizer("the largest id there is", (t) => (t.model.vocab["a"] = 2 ** 32 - 1), noId),
  tokenizer("merges that are numbers", (t) => (t.model.merges = [1, 2]), unusable),
  tokenizer("a merge of a piece that is not there", (t) => t.model.merges.unshift(["☃", "☃"]), unusable),
  tokenizer("a merge of three", (t) => t.model.merges.unshift(["a", "b", "c"]), unusable),
  tokenizer(
    "words and no word for the unknown",
    model("WordLevel", { vocab: { one: 0 }, unk_token: "[UNK]" }),
    /^%s\/model\/tokenizer/,
  ),
  tokenizer("pieces without scores", model("Unigram", { vocab: [["a"]], unk_id: 0 }), unusable),
  tokenizer(
    "an unknown piece out of range",
    model("Unigram", { vocab: [["a", -1]], unk_id: 7 }),
    `${FILE}: expected the id of unknown pieces (unk_id) to be from 0 to 0, got 7`,
  ),
  tokenizer("added tokens that are an object", (t) => (t.added_tokens = {}), unusable),
  tokenizer("an added token that is a number", (t) => (t.added_tokens = [{ id: 0, content: 7 }]), unusable),
  tokenizer("a pre-tokenizer of another type", (t) => (t.pre_tokenizer = { type: "Magic" }), unusable),
  tokenizer(
    "a malformed regular expression",
    (t) => (t.pre_tokenizer = { type: "Split", pattern: { Regex: "(a" }, behavior: "Isolated", invert: false }),
    unusable,
  ),
  tokenizer(
    "a normalizer of damaged tables",
    (t) => (t.normalizer = { type: "Precompiled", precompiled_charsmap: "AAAA" }),
    /^%s\/model\/tokenizer/,
  ),
  {
    ...tokenizer(
      "pieces of no characters",
      (t) => (t.pre_tokenizer = { type: "FixedLength", length: 0 }),
      /^%s\/model\/tokenizer.json: (cannot encode|is not a usable tokenizer)/,
    ),
    process: true,
  },
  tokenizer(
    "5,000 characters for a space",
    (t) => {
      const metaspace = { type: "Metaspace", replacement: "x".repeat(5000), prepend_scheme: "always", split: true };
      t.pre_tokenizer = { type: "Sequence", pretokenizers: [metaspace] };
    },
    new RegExp(`^${FILE}: expected the replacement of Metaspace to be one character, got "x+`),
  ),
  tokenizer(
    "no character for a space",
    (t) => (t.decoder = { type: "Metaspace" }),
    `${FILE}: expected the replacement of Metaspace to be one character, got nothing`,
  ),
  tokenizer("a decoder that is a list", (t) => (t.decoder = []), unusable),
  tokenizer(
    "a template with a token it does not define",
    (t) =>
      (t.post_processor = {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: "<s>", type_id: 0 } }],
        pair: [],
        special_tokens: {},
      }),
    /^%s\/model\/tokenizer.json: (is not a usable tokenizer|cannot encode)/,
  ),
  {
    what: "a tokenizer with more tokens than the model has embeddings",
    flags: (box) =>
      box.tokenizer((t) => {
        const flags = { special: true, normalized: false, single_word: false, lstrip: false, rstrip: false };
        (t.added_tokens as object[]).push({ id: 2000, content: "<extra>", ...flags });
      }),
    error:
      "%s/model: the tokenizer has 2001 tokens and the model only 2000 embeddings; give the tokenizer that it was trained with",
  },
  config(
    "that is not JSON",
    "{'eos_token': None}",
    `${CONFIG}:1:2: is not valid JSON from here on; write the file again or fetch it anew`,
  ),
  config("that is a list", "[]", `${CONFIG}: expected a JSON object, got []`),
  config(
    "nested 100,000 levels deep",
    `{"eos_token": ${DEEP}}`,
    `${CONFIG}: expected JSON of at most 200 levels, but it is nested deeper`,
  ),
  config(
    "whose eos_token is a number",
    '{"eos_token": 2}',
    `${CONFIG}: expected eos_token to be a string or an object with a string "content", got 2`,
  ),
  config(
    "whose eos_token is an empty object",
    '{"eos_token": {}}',
    `${CONFIG}: expected eos_token to be a string or an object with a string "content", got {}`,
  ),
  config(
    "whose eos_token is not in the vocabulary",
    '{"eos_token": "</s>"}',
    new RegExp(`^${CONFIG}: names the eos_token "</s>", which tokenizer.json does not have`),
  ),
  config(
    "with a padding_side of its own",
    '{"eos_token": "<|endoftext|>", "padding_side": "up"}',
    `${CONFIG}: expected padding_side to be "left" or "right", got "up"`,
  ),
  config(
    "without an eos_token to pack with",
    "{}",
    /^%s\/model: packing ends each document with the end-of-text token, and the tokenizer names none/,
  ),
  {
    what: "a tokenizer_config.json that is a pipe",
    flags: (box) => box.model((at) => pipe(at("tokenizer_config.json"))),
    error: `${CONFIG}: expected a file, but this is a pipe or device`,
  },
  {
    what: "a special_tokens_map.json that is a pipe",
    flags: (box) => box.model((at) => pipe(at("special_tokens_map.json"))),
    error: "%s/model/special_tokens_map.json: expected a file, but this is a pipe or device",
  },
  {
    what: "a special_tokens_map.json that is not JSON",
    flags: (box) => box.model((at) => writeFile(at("special_tokens_map.json"), "<s>")),
    error: /^%s\/model\/special_tokens_map.json:1:1: is not valid JSON from here on/,
  },
  {
    what: "a special_tokens_map.json whose eos_token is a list",
    flags: (box) =>
      box.model(async (at) => {
        await rm(at("tokenizer_config.json"));
        await writeFile(at("special_tokens_map.json"), '{"eos_token": ["<|endoftext|>"]}');
      }),
    error: /^%s\/model\/special_tokens_map.json: expected eos_token to be a string or an object/,
  },
  {
    what: "a folder of the tokenizer that is not there",
    flags: (box) => ({ tokenizer_name_or_path: box.at("none") }),
    error: /^%s\/none: expected a tokenizer.json in this folder, found none/,
  },
  {
    what: "a folder of the tokenizer that is a file",
    flags: async (box) => {
      await box.write("file", "");
      return { tokenizer_name_or_path: box.at("file") };
    },
    error: /^%s\/file\/tokenizer.json: cannot be read \(ENOTDIR/,
  },
  {
    what: "a tokenizer for the ends of another model",
    flags: (box) =>
      box.model(async (at) => {
        await rm(at("tokenizer_config.json"));
        await editJson(at("config.json"), (config) => ({ ...config, eos_token_id: 5_000_000_000 }));
      }),
    error: /^%s\/model: packing ends each document with the end-of-text token/,
  },
];
