import { readFile, writeFile } from "node:fs/promises";
import { DEEP, folder, link, pipe, sparse, type HostileCase } from "./sandbox.js";

const FILE = "%s/model/config.json";
const EMBEDDING = "%s/model/model.safetensors: model.embed_tokens.weight: expected shape";
const notJson = (what: string, data: string): HostileCase => ({
  what: `a config.json ${what}`,
  flags: (box) => box.modelWith("config.json", data),
  error: new RegExp(`^${FILE}: expected JSON, but `),
});
const wrong = (what: string, change: Record<string, unknown>, error: string | RegExp): HostileCase => ({
  what: `a config.json with ${what}`,
  flags: (box) => box.config(change),
  error,
});
/** A value of a key that is refused with what was expected of it. */
const key = (name: string, value: unknown, expected: string, got: string): HostileCase =>
  wrong(`${name} ${got}`, { [name]: value }, `${FILE}: expected ${name} to be ${expected}, got ${got}`);

export const configJson: readonly HostileCase[] = [
  notJson("of no bytes", ""),
  notJson("of a byte order mark alone", "\uFEFF"),
  notJson("cut short", '{"model_type": "llama", "vocab_size": 2'),
  notJson("with a comma too many", '{\n  "model_type": "llama",\n}\n'),
  notJson("with a comment", '{\n  // a comment\n  "model_type": "llama"\n}\n'),
  notJson("written by Python's print", "{'model_type': 'llama', 'tie_word_embeddings': False}"),
  notJson("with NaN", '{"model_type": "llama", "rope_theta": NaN}'),
  {
    what: "a config.json that is a list",
    flags: (box) => box.modelWith("config.json", "[]"),
    error: `${FILE}: expected a JSON object, found a list`,
  },
  {
    what: "a config.json that is null",
    flags: (box) => box.modelWith("config.json", "null"),
    error: `${FILE}: expected a JSON object, found null`,
  },
  {
    what: "a config.json in UTF-16",
    flags: (box) => box.modelWith("config.json", Buffer.from('\uFEFF{"model_type": "llama"}', "utf16le")),
    error: `${FILE}: expected JSON in UTF-8, but it has bytes that are not; save it as UTF-8`,
    process: true,
  },
  {
    what: "a config.json in Latin-1",
    flags: (box) => box.modelWith("config.json", Buffer.from('{"model_type": "llama", "by": "André"}', "latin1")),
    error: `${FILE}: expected JSON in UTF-8, but it has bytes that are not; save it as UTF-8`,
  },
  {
    what: "a config.json nested 100,000 levels deep",
    flags: (box) => box.modelWith("config.json", `{"model_type": "llama", "vocab_size": ${DEEP}}`),
    error: `${FILE}: expected JSON of at most 200 levels, but it is nested deeper`,
    process: true,
  },
  {
    what: "a config.json of 5 GB",
    flags: (box) => box.model((at) => sparse(at("config.json"), 5_000_000_000)),
    error: `${FILE}: expected a JSON file of at most 67108864 bytes, but it has 5000000000`,
  },
  {
    what: "a config.json that is a folder",
    flags: (box) => box.model((at) => folder(at("config.json"))),
    error: /^%s\/model: expected a model, found a tokenizer/,
  },
  {
    what: "a config.json that is a pipe",
    flags: (box) => box.model((at) => pipe(at("config.json"))),
    error: /^%s\/model: expected a model, found a tokenizer/,
  },
  {
    what: "a config.json that links to a device without end",
    flags: (box) => box.model((at) => link(at("config.json"), "/dev/zero")),
    error: /^%s\/model: expected a model, found a tokenizer/,
  },
  {
    what: "a config.json that links to itself",
    flags: (box) => box.model((at) => link(at("config.json"), "config.json")),
    error: /^%s\/model: expected a model, found a tokenizer/,
  },
  wrong("no model_type", { model_type: undefined }, /^%s\/model\/config.json: expected "model_type" \(a string\)/),
  wrong(
    "a model_type that is a number",
    { model_type: 7 },
    /^%s\/model\/config.json: expected "model_type" \(a string\)/,
  ),
  wrong(
    "an empty model_type",
    { model_type: "" },
    `${FILE}: expected model_type to be a string such as "llama", got ""`,
  ),
  wrong(
    "the model_type __proto__",
    { model_type: "__proto__" },
    /model_type "__proto__" is not supported; supported are/,
  ),
  wrong(
    "a model_type that would clear the screen",
    { model_type: "\u001b[2J\nllama" },
    /^%s\/model\/config.json: model_type "\\u001b\[2J\\u000allama" is not supported/,
  ),
  wrong(
    "a model_type of a megabyte",
    { model_type: "x".repeat(1e6) },
    /^%s\/model\/config.json: model_type "x{900,1000}…$/,
  ),
  wrong(
    "a model with a score head",
    { architectures: ["LlamaForSequenceClassification"] },
    /expected a model, found a reward model/,
  ),
  wrong("no vocab_size", { vocab_size: undefined }, /^%s\/model\/config.json: expected .*"vocab_size" \(a number\)/),
  wrong(
    "a vocab_size in quotes",
    { vocab_size: "2000" },
    /^%s\/model\/config.json: expected .*"vocab_size" \(a number\)/,
  ),
  key("vocab_size", 0, "a positive integer", "0"),
  key("vocab_size", -2000, "a positive integer", "-2000"),
  key("vocab_size", 1.5, "a positive integer", "1.5"),
  key("vocab_size", 2 ** 53, "a positive integer", "9007199254740992"),
  wrong(
    "a vocab_size beyond any file",
    { vocab_size: 2 ** 53 - 1 },
    `${EMBEDDING} (9007199254740991, 32) from config.json, got (2000, 32)`,
  ),
  {
    what: "a config.json with a vocab_size beyond any number",
    flags: (box) => box.modelWith("config.json", '{"model_type": "llama", "vocab_size": 1e999}'),
    error: /^%s\/model\/config.json: expected hidden_size to be a positive integer, got nothing/,
  },
  wrong("another vocab_size", { vocab_size: 1999 }, `${EMBEDDING} (1999, 32) from config.json, got (2000, 32)`),
  key("hidden_size", null, "a positive integer", "nothing"),
  key("hidden_size", 0, "a positive integer", "0"),
  key("hidden_size", [[32]], "a positive integer", "[[32]]"),
  key("num_hidden_layers", -1, "a positive integer", "-1"),
  wrong(
    "10^15 layers",
    { num_hidden_layers: 1e15 },
    `${FILE}: says 1000000000000000 layers, but the weights are only 21 tensors`,
  ),
  wrong("a layer too many", { num_hidden_layers: 3 }, /^%s\/model: the checkpoint has no tensor "model.layers.2/),
  wrong(
    "heads that do not divide hidden_size",
    { num_attention_heads: 3, num_key_value_heads: 3 },
    `${FILE}: hidden_size 32 is not a multiple of num_attention_heads 3`,
  ),
  wrong(
    "no keys",
    { num_key_value_heads: 0 },
    /^%s\/model\/config.json: num_attention_heads 4 is not a multiple of num_key_value_heads 0/,
  ),
  key("num_key_value_heads", "two", "an integer", '"two"'),
  wrong(
    "a head_dim of 2^40",
    { head_dim: 2 ** 40 },
    `${FILE}: expected head_dim to be at most 65536, got 1099511627776`,
  ),
  wrong("an odd head_dim", { head_dim: 7 }, `${FILE}: heads of 7 elements cannot be rotated; expected an even number`),
  key("head_dim", -8, "a positive integer", "-8"),
  key("intermediate_size", {}, "a positive integer", "{}"),
  wrong("another activation", { hidden_act: "quantum" }, /^%s\/model\/config.json: .*hidden_act.*"quantum"/),
  key("hidden_act", 5, "a string", "5"),
  key("rms_norm_eps", "1e-5", "a number", '"1e-5"'),
  {
    what: "a config.json with a number beyond all numbers",
    flags: (box) =>
      box.model(async (at) => {
        const text = await readFile(at("config.json"), "utf8");
        await writeFile(at("config.json"), text.replace("{", '{"rms_norm_eps": 1e999,'));
      }),
    error: `${FILE}: expected rms_norm_eps to be a number, got Infinity`,
  },
  key("tie_word_embeddings", "false", "true or false", '"false"'),
  key("attention_bias", 1, "true or false", "1"),
  wrong(
    "biases that the weights do not have",
    { attention_bias: true },
    /^%s\/model: the checkpoint has no tensor "model.layers.0.self_attn.q_proj.bias"/,
  ),
  key("max_position_embeddings", "128", "a positive integer", '"128"'),
  key("rope_theta", "10000", "a number", '"10000"'),
  key("rope_theta", 0, "a positive number", "0"),
  key("rope_scaling", "linear", "an object", '"linear"'),
  key("rope_scaling", [], "an object", "[]"),
  wrong(
    "a rope type of another world",
    { rope_scaling: { rope_type: "magic", factor: 2 } },
    /^%s\/model\/config.json: rope_scaling.rope_type "magic" is not supported/,
  ),
  wrong(
    "a rope type without its factor",
    { rope_scaling: { type: "linear" } },
    `${FILE}: expected rope_scaling.factor to be a positive number, got nothing`,
  ),
  wrong(
    "a rope factor of 0",
    { rope_scaling: { type: "linear", factor: 0 } },
    `${FILE}: expected rope_scaling.factor to be a positive number, got 0`,
  ),
  wrong(
    "rope_parameters without a number",
    { rope_parameters: { rope_type: "llama3", factor: 8, low_freq_factor: "1" } },
    /^%s\/model\/config.json: expected rope_parameters/,
  ),
  {
    what: "a bloom whose heads do not divide its width",
    flags: (box) => box.config({ n_head: 5 }, "bloom"),
    error: `${FILE}: hidden_size 32 is not a multiple of n_head 5`,
  },
  {
    what: "a bloom with its residuals elsewhere",
    flags: (box) => box.config({ apply_residual_connection_post_layernorm: true }, "bloom"),
    error: /^%s\/model\/config.json: apply_residual_connection_post_layernorm .*not supported/,
  },
];
