/** The parsers that meet files of strangers: for each, valid inputs to start from and how it is called. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = new URL("../../", import.meta.url);
const load = (path) => import(new URL(`packages/${path}`, root));

const { openArtifact } = await load("artifacts/dist/index.js");
const { nestsTooDeeply } = await load("artifacts/dist/read-json-text.js");
const { checkSafetensors } = await load("artifacts/dist/check-safetensors.js");
const { safetensorsBytes, tinyAdapter, tinyCausalLm, tinyDataset, tinyTensor } = await load(
  "artifacts/dist/testing/index.js",
);
const { openAdapterFiles } = await load("core/dist/checkpoint/peft.js");
const { readHfConfig } = await load("core/dist/checkpoint/hf-config.js");
const { openSafetensors } = await load("core/dist/checkpoint/safetensors.js");
const { openCheckpoint } = await load("core/dist/checkpoint/shards.js");
const { parseFlags } = await load("core/dist/config/flags.js");
const { readConversation } = await load("core/dist/chat/index.js");
const { readDocuments } = await load("core/dist/data/files/read-documents.js");
const { readRows } = await load("core/dist/data/files/read-rows.js");
const { scanJson } = await load("core/dist/json/scan-json.js");
const { decoderOptions } = await load("core/dist/models/decoder-options.js");
const { resolveTargets } = await load("core/dist/checkpoint/lora-config.js");
const { loadNative } = await load("core/dist/run/native.js");
const { loadTokenizer } = await load("core/dist/tokenizer/index.js");
const { readTrainerState } = await load("core/dist/training/trainer-state.js");
const { readExamples } = await load("data-medical/dist/formats/read-examples.js");
const { RefusedRow } = await load("data-medical/dist/formats/refused-row.js");
const { TARGETS } = await load("data-medical/dist/targets/targets.js");
const { pretrainSchema } = await load("pretrain/dist/config.js");

const json = (value) => JSON.stringify(value, null, 1);
const BITS = { F32: 32, F16: 16, BF16: 16, I32: 32, I64: 64, U8: 8, F64: 64 };

/** A safetensors file of zeros with these dtypes and shapes. */
function zeros(tensors) {
  const header = { __metadata__: { format: "pt", step: "2" } };
  let end = 0;
  for (const [name, [dtype, ...shape]] of Object.entries(tensors)) {
    header[name] = {
      dtype,
      shape,
      data_offsets: [end, (end += (shape.reduce((a, b) => a * b, 1) * BITS[dtype]) / 8)],
    };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(end)]);
}

/** A row of each shape that data sets have. */
const TURNS = [
  { from: "system", value: "S" },
  { from: "human", value: "发热怎么办？" },
  { from: "function_call", value: '{"name":"f","arguments":{"x":[1]}}' },
  { from: "observation", value: "3" },
  { from: "gpt", value: "多喝水。" },
];
const CALLS = [{ id: "1", type: "function", function: { name: "f", arguments: '{"x":1}' } }];
const EXAMPLES = [
  { conversations: TURNS, tools: '[{"name":"f"}]', category: "x" },
  {
    messages: [
      { role: "user", content: [{ type: "text", text: "Q" }] },
      { role: "assistant", content: null, tool_calls: CALLS },
      { role: "tool", content: "3", tool_call_id: "1" },
    ],
    tools: [{ name: "f" }],
  },
  { instruction: "Q", input: "I", output: "A", history: [["Q0", "A0"]], system: "S" },
  { instruction: "Human: Q\nAssistant: A\nHuman: Q\nAssistant:", input: "", output: "A" },
  { data: ["问：Q", "答：A"] },
  { conversations: TURNS.slice(0, 2), chosen: "A", rejected: { from: "gpt", value: "B" } },
  { question: "Q", response_chosen: "A", response_rejected: "B" },
  { chosen: "\n\nHuman: Q\n\nAssistant: A", rejected: "\n\nHuman: Q\n\nAssistant: B" },
  { prompt: [{ role: "user", content: "Q" }], answer: "A" },
  { text: "T", id: 1 },
];

const sizes = {
  vocab_size: 32,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
  tie_word_embeddings: false,
};
const llama3 = {
  rope_type: "llama3",
  rope_theta: 500000,
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 16,
};
const CONFIGS = [
  { model_type: "llama", ...sizes, head_dim: 4, rope_theta: 10000, attention_bias: false, mlp_bias: false },
  { model_type: "llama", ...sizes, rope_parameters: llama3, dtype: "float32" },
  {
    model_type: "llama",
    ...sizes,
    rope_theta: 1e4,
    rope_scaling: { type: "linear", factor: 2 },
    torch_dtype: "bfloat16",
  },
  {
    model_type: "llama",
    ...sizes,
    rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 },
  },
  { model_type: "llama", ...sizes, rope_scaling: { rope_type: "dynamic", factor: 2 } },
  { model_type: "qwen2", ...sizes, tie_word_embeddings: true, use_sliding_window: false, max_window_layers: 2 },
  { model_type: "qwen3", ...sizes, head_dim: 4 },
  { model_type: "mistral", ...sizes, sliding_window: 6 },
  {
    model_type: "gemma2",
    ...sizes,
    head_dim: 4,
    query_pre_attn_scalar: 8,
    sliding_window: 6,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    hidden_activation: "gelu_pytorch_tanh",
  },
  {
    model_type: "gpt2",
    vocab_size: 32,
    n_embd: 8,
    n_layer: 2,
    n_head: 2,
    n_positions: 64,
    activation_function: "gelu_new",
  },
  { model_type: "bloom", vocab_size: 32, hidden_size: 8, n_layer: 2, n_head: 2, layer_norm_epsilon: 1e-5 },
];

const layer = "base_model.model.model.layers.0.self_attn";
const LORA = {
  peft_type: "LORA",
  task_type: "CAUSAL_LM",
  base_model_name_or_path: "../base",
  r: 2,
  lora_alpha: 4,
  lora_dropout: 0.1,
  bias: "none",
  fan_in_fan_out: false,
  use_rslora: false,
  use_dora: false,
  rank_pattern: {},
  alpha_pattern: {},
  layers_to_transform: null,
};
const factors = (...modules) =>
  zeros(
    Object.fromEntries(
      modules.flatMap((module) => [
        [`${layer}.${module}.lora_A.weight`, ["F32", 2, 8]],
        [`${layer}.${module}.lora_B.weight`, ["F32", 8, 2]],
      ]),
    ),
  );
const LINEARS = [0, 1].flatMap((i) =>
  ["q_proj", "k_proj", "v_proj"].map((name) => `model.layers.${i}.self_attn.${name}`),
);

const vocab = (...tokens) => Object.fromEntries(tokens.map((token, id) => [token, id]));
const added = (id, content) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});
const tokenizer = (model, rest = {}) =>
  json({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...rest,
    model,
  });
const template = (token, id) => ({
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: token, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
});
const bytesVocab = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
const TOKENIZERS = [
  tokenizer(
    { type: "WordLevel", vocab: vocab("[UNK]", "fever", "the", "is", "<s>"), unk_token: "[UNK]" },
    {
      added_tokens: [added(4, "<s>")],
      normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "Lowercase" }, { type: "StripAccents" }] },
      pre_tokenizer: { type: "Whitespace" },
      post_processor: template("<s>", 4),
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      truncation: { direction: "Right", max_length: 4, strategy: "LongestFirst", stride: 1 },
      padding: {
        strategy: { Fixed: 8 },
        direction: "Right",
        pad_to_multiple_of: 4,
        pad_id: 0,
        pad_type_id: 0,
        pad_token: "[UNK]",
      },
    },
  ),
  tokenizer(
    {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: vocab("<unk>", "<s>", ...bytesVocab, "▁", "f", "e", "v", "r", "fe", "ver", "ve", "▁fe", "fever"),
      merges: ["f e", "v e", "ve r", "▁ fe", "fe ver"],
    },
    {
      added_tokens: [added(0, "<unk>"), added(1, "<s>")],
      normalizer: {
        type: "Sequence",
        normalizers: [
          { type: "Prepend", prepend: "▁" },
          { type: "Replace", pattern: { String: " " }, content: "▁" },
        ],
      },
      post_processor: template("<s>", 1),
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "▁" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          { type: "Strip", content: " ", start: 1, stop: 0 },
        ],
      },
    },
  ),
  tokenizer(
    {
      type: "BPE",
      vocab: vocab("f", "e", "v", "r", "Ġ", "fe", "ver", "ve", "Ġt"),
      merges: [
        ["f", "e"],
        ["v", "e"],
        ["ve", "r"],
      ],
    },
    {
      added_tokens: [added(9, "<|end|>")],
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          {
            type: "Split",
            pattern: { Regex: "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+" },
            behavior: "Isolated",
            invert: false,
          },
          { type: "Digits", individual_digits: true },
          { type: "Punctuation", behavior: "Isolated" },
          { type: "FixedLength", length: 5 },
          { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
        ],
      },
      post_processor: { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true },
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    },
  ),
  tokenizer(
    {
      type: "Unigram",
      unk_id: 0,
      vocab: [
        ["<unk>", 0],
        ["▁", -2],
        ["fever", -3.5],
        ["f", -5],
        ["e", -5.5],
        ["▁the", -4],
      ],
      byte_fallback: false,
    },
    {
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
      decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    },
  ),
  tokenizer(
    {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: vocab("[UNK]", "[CLS]", "[SEP]", "fe", "##ver", "the", "##e"),
    },
    {
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: { type: "BertProcessing", sep: ["[SEP]", 2], cls: ["[CLS]", 1] },
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    },
  ),
];
const TOKENIZER_CONFIG = json({
  added_tokens_decoder: { 0: { content: "<s>", special: true } },
  bos_token: "fever",
  eos_token: { content: "e", special: true },
  padding_side: "left",
  model_max_length: 128,
  tokenizer_class: "LlamaTokenizer",
});
const SPECIAL_TOKENS = json({ unk_token: "e", pad_token: { content: "f" } });
const TEXTS = [
  "",
  "the fever is 39.5",
  "▁fever <s> é\u0301 发烧 \ud83e\udd12 <|end|>",
  "\ud800 lone",
  "a".repeat(300),
  " \n\t ",
];

/** @param {"native" | "js"} engine */
const tokenizerTarget = (engine) => ({
  name: `tokenizer-${engine}`,
  seeds: TOKENIZERS.map((text) => ({
    "tokenizer.json": text,
    "tokenizer_config.json": TOKENIZER_CONFIG,
    "special_tokens_map.json": SPECIAL_TOKENS,
  })),
  mostly: "tokenizer.json",
  async run(dir) {
    const loaded = await loadTokenizer(dir, { engine });
    const batch = await loaded.encodeBatch(TEXTS);
    for (const [index, ids] of batch.entries()) {
      if (!(ids instanceof Int32Array)) throw new TypeError("ids are no Int32Array");
      for (const id of ids) if (id < 0 || id >= loaded.idCount) throw new RangeError(`id ${id} of ${loaded.idCount}`);
      loaded.decode(ids, { skipSpecialTokens: index % 2 === 0 });
    }
    loaded.encode(TEXTS[1], { addSpecialTokens: false });
  },
});

const CHATS = [
  `{"conversations":[{"from":"system","value":"s"},{"from":"human","value":"发烧？"},{"from":"function_call","value":"{\\"name\\": \\"now\\", \\"arguments\\": {\\"z\\": [1.0, {}]}}"},{"from":"observation","value":"{}"},{"from":"gpt","value":"休息。"}],"tools":"[{\\"name\\": \\"now\\", \\"parameters\\": {}}]"}\n`,
  `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"a","arguments":"{\\"b\\":1e5}"}}]},{"role":"tool","content":"t"},{"role":"assistant","content":"a"}],"tools":[{"type":"function","function":{"name":"a"}}]}\n`,
];
const ROWS = ["the fever is 39.5", "发烧 \ud83e\udd12", 'with "quotes" and \\'].map((text, id) =>
  JSON.stringify({ id, text }),
);
const ADAPTER_FILES = ["q_proj", "v_proj"];
const KINDS = ["tokenizer", "dataset", "causal-lm", "adapter", "reward-model"];
const ARGV = [
  "--model_name_or_path m --train_file_dir t --do_train --learning_rate 2e-4 --fp16 True --lora_rank=8 --target_modules q_proj,v_proj",
  '--model_name_or_path m --validation_file_dir v --do_eval --lr-scheduler-type cosine --lr_scheduler_kwargs {"num_cycles":2} --seed 42',
  "--model_name_or_path m --train_file_dir t --do_train --gradient_checkpointing full --report_to tensorboard --save_steps 0.5 --no_cuda",
];
const YAML = [
  readFileSync(new URL("packages/pretrain/presets/medicalgpt.yaml", root), "utf8"),
  "model_name_or_path: m\ntrain_file_dir: &t 't'\nvalidation_file_dir: *t\ndo_train: true\nlr_scheduler_kwargs: { num_cycles: 2 }\n" +
    "target_modules: [q_proj, v_proj]\nrun_name: |\n  of two\n  lines\nlearning_rate: 2e-4\n",
  json({
    model_name_or_path: "m",
    train_file_dir: "t",
    do_train: true,
    lora_rank: 8,
    lr_scheduler_kwargs: { num_cycles: 2 },
  }),
];
const STATE = json({
  best_global_step: 2,
  best_metric: 3.5,
  best_model_checkpoint: "out/checkpoint-2",
  epoch: 0.5,
  eval_steps: 1,
  global_step: 2,
  log_history: [{ loss: 7.5, learning_rate: 1e-4, grad_norm: 2, epoch: 0.25, step: 1 }],
  logging_steps: 1,
  max_steps: 4,
  num_input_tokens_seen: 64,
  num_train_epochs: 1,
  save_steps: 2,
  total_flos: 1e9,
  train_batch_size: 2,
});

/** Contents of the files of a folder. */
const contents = (dir) => Object.fromEntries(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name))]));

/** @param {string} scratch a folder in which seeds may be made */
export async function makeTargets(scratch) {
  const base = await tinyCausalLm(join(scratch, "base"));
  await tinyAdapter(join(scratch, "adapter"), base);
  await tinyDataset(join(scratch, "dataset"), "chat");
  const sealed = ["base", "adapter", "dataset"].map((name) => contents(join(scratch, name)));
  const plain = sealed.map((files) =>
    Object.fromEntries(Object.entries(files).filter(([name]) => name !== "medgpt.json")),
  );

  const targets = [
    {
      name: "safetensors",
      seeds: [
        {
          "model.safetensors": zeros({
            a: ["F32", 2, 3],
            b: ["BF16", 4],
            "c.weight": ["F16", 0, 2],
            d: ["I64"],
            e: ["U8", 3],
          }),
        },
        { "model.safetensors": Buffer.from(safetensorsBytes({ x: tinyTensor(2, 2), y: tinyTensor(3) })) },
      ],
      async run(dir) {
        const path = join(dir, "model.safetensors");
        const { size } = statSync(path);
        for (const info of (await openSafetensors(path)).tensors.values()) {
          const end = info.byteOffset + (info.size * BITS[info.storedDtype]) / 8;
          if (end > size) throw new RangeError(`${info.name} ends at ${end} of ${size}`);
        }
        await checkSafetensors(dir, "model.safetensors");
      },
    },
    {
      name: "index",
      seeds: [
        {
          "model.safetensors.index.json": json({
            metadata: { total_size: 56 },
            weight_map: { a: "model-1.safetensors", b: "model-1.safetensors", c: "model-2.safetensors" },
          }),
          "model-1.safetensors": zeros({ a: ["F32", 2, 3], b: ["F32", 4] }),
          "model-2.safetensors": zeros({ c: ["F32", 4] }),
        },
      ],
      mostly: "model.safetensors.index.json",
      run: (dir) => openCheckpoint(dir),
    },
    {
      name: "config",
      seeds: CONFIGS.map((config) => ({ "config.json": json(config) })),
      run: async (dir) => void decoderOptions(await readHfConfig(dir)),
    },
    {
      name: "adapter",
      seeds: [
        {
          "adapter_config.json": json({ ...LORA, target_modules: ADAPTER_FILES }),
          "adapter_model.safetensors": factors(...ADAPTER_FILES),
        },
        {
          "adapter_config.json": json({ ...LORA, target_modules: ".*\\.[qv]_proj", use_rslora: true }),
          "adapter_model.safetensors": factors("q_proj"),
        },
        {
          "adapter_config.json": json({ ...LORA, target_modules: "all-linear", modules_to_save: ["lm_head"] }),
          "adapter_model.safetensors": factors("k_proj"),
        },
      ],
      mostly: "adapter_config.json",
      run: async (dir) => void resolveTargets((await openAdapterFiles(dir)).config, LINEARS),
    },
    tokenizerTarget("js"),
    ...("reason" in loadNative() ? [] : [tokenizerTarget("native")]),
    {
      name: "text",
      seeds: [
        { "a.jsonl": `${ROWS.join("\n")}\n` },
        { "a.txt": "the fever\r\nis 39.5\r发烧\n\nlast" },
        { "a.jsonl": `\uFEFF${ROWS[0]}\r\n\n${ROWS[1]}` },
      ],
      async run(dir, files) {
        for await (const { text } of readDocuments([join(dir, Object.keys(files)[0])], { keepLinebreaks: true })) {
          if (typeof text !== "string") throw new TypeError("a document is no string");
        }
      },
    },
    {
      name: "conversations",
      seeds: CHATS.map((text) => ({ "a.jsonl": text })),
      async run(dir) {
        for await (const { row, place } of readRows([join(dir, "a.jsonl")])) {
          const { turns } = readConversation(row, { place, toolFormat: "qwen" });
          if (!turns.flat().every((text) => typeof text === "string")) throw new TypeError("a turn is no string");
        }
      },
    },
    {
      name: "examples",
      seeds: EXAMPLES.flatMap((row) => [
        { "a.jsonl": `${JSON.stringify(row)}\n`.repeat(2) },
        { "a.json": JSON.stringify({ data: [row, row] }, null, 1) },
      ]).concat({ "a.csv": 'question,answer,id\r\n"发热,\n""怎么办""？",多喝水。,1\r\n\nQ,A,2' }),
      async run(dir, files) {
        for await (const { example } of readExamples([join(dir, Object.keys(files)[0])])) {
          if (example === undefined) continue; // refused
          for (const target of Object.values(TARGETS)) {
            try {
              JSON.stringify(target.write(example));
            } catch (error) {
              if (!(error instanceof RefusedRow)) throw error;
            }
          }
        }
      },
    },
    {
      name: "json-scan",
      seeds: [{ "a.json": json(CONFIGS[1]) }, { "a.json": ROWS[2] }, { "a.json": STATE }],
      run(dir, files) {
        const text = files["a.json"].toString("utf8");
        if (nestsTooDeeply(text)) return;
        let parses = true;
        try {
          JSON.parse(text);
        } catch {
          parses = false;
        }
        const { errorAt } = scanJson(text);
        if ((errorAt === undefined) !== parses) throw new Error(`scanJson says ${errorAt}, JSON.parse ${parses}`);
      },
    },
    {
      name: "flags",
      seeds: ARGV.map((line) => ({ argv: line.split(" ").join("\0") })),
      run: (_dir, files) => void parseFlags(pretrainSchema, files["argv"].toString("utf8").split("\0")),
    },
    {
      name: "config-file",
      seeds: YAML.map((text, index) => ({ [index === 2 ? "run.json" : "run.yaml"]: text })),
      run: (dir, files) => void parseFlags(pretrainSchema, ["--config", join(dir, Object.keys(files)[0])]),
    },
    {
      name: "manifest",
      seeds: sealed,
      mostly: "medgpt.json",
      run: (dir) => openArtifact(dir, KINDS),
    },
    { name: "folder", seeds: plain, run: (dir) => openArtifact(dir, KINDS) },
    {
      name: "trainer-state",
      seeds: [{ "trainer_state.json": STATE }],
      run: (dir) => readTrainerState(dir),
    },
  ];
  // Every seed lies in a folder of its own, where a mutated file takes the place of the valid one.
  for (const { name, seeds } of targets) {
    for (const [index, files] of seeds.entries()) {
      const dir = join(scratch, "seeds", name, String(index));
      for (const [file, data] of Object.entries(files)) {
        files[file] = Buffer.from(data);
        mkdirSync(dirname(join(dir, file)), { recursive: true });
        writeFileSync(join(dir, file), files[file]);
      }
    }
  }
  return targets;
}
