/** The smallest artifacts of each kind that Transformers, PEFT and datasets also open; a few kilobytes each. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  artifactRef,
  type AdapterArtifact,
  type Artifact,
  type CausalLmArtifact,
  type CreatedBy,
  type DatasetArtifact,
  type DatasetFormat,
  type ModelDetails,
  type RewardModelArtifact,
  type TokenizerArtifact,
} from "../artifact.js";
import { textDigest } from "../file-digest.js";
import { writeArtifact, type ArtifactDescription } from "../write-artifact.js";
import { safetensorsBytes, tinyTensor, type TinyTensor } from "./safetensors-bytes.js";

const CREATED_BY: CreatedBy = { package: "@medgpt/artifacts", version: "0.0.0", config: {} };

const WORDS =
  "the a of in to and is fever cough heart blood pressure patient doctor dose daily what why how yes no rest drink water".split(
    " ",
  );
const SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"];
const TOKENS = [...SPECIAL, ...WORDS, ".", ",", "?", "!"];

const HIDDEN = 8;
const INTERMEDIATE = 16;
const HEADS = 2;
const KEY_VALUE_HEADS = 1;
const KEY_VALUE_SIZE = (HIDDEN / HEADS) * KEY_VALUE_HEADS;
const RANK = 2;

/** A word-level tokenizer of 32 tokens. */
export async function tinyTokenizer(dir: string): Promise<TokenizerArtifact> {
  const details = { vocabSize: TOKENS.length, addedTokens: SPECIAL.length };
  return writeArtifact(dir, { kind: "tokenizer", details, createdBy: CREATED_BY, inputs: [] }, writeTokenizer);
}

const ROWS: Record<DatasetFormat, readonly unknown[]> = {
  text: [{ text: "the patient is in the heart of fever." }, { text: "rest and drink water daily." }],
  chat: [
    {
      messages: [
        { role: "user", content: "what is fever?" },
        { role: "assistant", content: "blood heat, rest." },
      ],
    },
    {
      messages: [
        { role: "user", content: "why drink water?" },
        { role: "assistant", content: "to rest the heart." },
      ],
    },
  ],
  preference: [
    { prompt: "what is fever?", chosen: "rest, and drink water.", rejected: "no." },
    { prompt: "how is the patient?", chosen: "the patient is in rest.", rejected: "why?" },
  ],
  prompt: [{ prompt: "what is fever?" }, { prompt: "why drink water?" }],
};

/** Two rows for training and one for validation, in the columns of the format. */
export async function tinyDataset<F extends DatasetFormat>(dir: string, format: F): Promise<DatasetArtifact<F>> {
  const rows = ROWS[format];
  const splits = {
    train: { files: ["train.jsonl"], rows: rows.length },
    validation: { files: ["validation.jsonl"], rows: 1 },
  };
  const dataset = await writeArtifact(
    dir,
    { kind: "dataset", details: { format, splits }, createdBy: CREATED_BY, inputs: [] },
    async (staging) => {
      await writeFile(join(staging, "train.jsonl"), lines(rows));
      await writeFile(join(staging, "validation.jsonl"), lines(rows.slice(0, 1)));
    },
  );
  return dataset as DatasetArtifact<F>;
}

/** A one-layer Llama of 8 hidden units with its tokenizer; its weights mean nothing. */
export async function tinyCausalLm(dir: string): Promise<CausalLmArtifact> {
  return writeModel(dir, "causal-lm", (details) => details);
}

/** The same Llama with a score head of one label. */
export async function tinyRewardModel(dir: string): Promise<RewardModelArtifact> {
  return writeModel(dir, "reward-model", (details) => ({ ...details, pooling: "last-token", center: 0 }));
}

/** A LoRA of rank 2 over the queries and values of `base`, a `tinyCausalLm`. */
export async function tinyAdapter(dir: string, base: CausalLmArtifact): Promise<AdapterArtifact> {
  const targetModules = ["q_proj", "v_proj"];
  const details = { base: artifactRef(base), rank: RANK, alpha: 2 * RANK, targetModules };
  return writeArtifact(
    dir,
    { kind: "adapter", details, createdBy: CREATED_BY, inputs: [artifactRef(base)] },
    async (staging) => {
      await writeFile(
        join(staging, "adapter_config.json"),
        json({
          peft_type: "LORA",
          task_type: "CAUSAL_LM",
          base_model_name_or_path: base.dir,
          r: RANK,
          lora_alpha: 2 * RANK,
          lora_dropout: 0,
          bias: "none",
          target_modules: targetModules,
        }),
      );
      const prefix = "base_model.model.model.layers.0.self_attn";
      await writeFile(
        join(staging, "adapter_model.safetensors"),
        safetensorsBytes({
          [`${prefix}.q_proj.lora_A.weight`]: tinyTensor(RANK, HIDDEN),
          [`${prefix}.q_proj.lora_B.weight`]: tinyTensor(HIDDEN, RANK),
          [`${prefix}.v_proj.lora_A.weight`]: tinyTensor(RANK, HIDDEN),
          [`${prefix}.v_proj.lora_B.weight`]: tinyTensor(KEY_VALUE_SIZE, RANK),
        }),
      );
    },
  );
}

async function writeModel<K extends "causal-lm" | "reward-model">(
  dir: string,
  kind: K,
  complete: (details: ModelDetails) => ArtifactDescription<K>["details"],
): Promise<Artifact<K>> {
  const scores = kind === "reward-model";
  const head = scores
    ? { "score.weight": tinyTensor(1, HIDDEN) }
    : { "lm_head.weight": tinyTensor(TOKENS.length, HIDDEN) };
  const layer = "model.layers.0";
  const tensors: Record<string, TinyTensor> = {
    "model.embed_tokens.weight": tinyTensor(TOKENS.length, HIDDEN),
    [`${layer}.input_layernorm.weight`]: tinyTensor(HIDDEN),
    [`${layer}.self_attn.q_proj.weight`]: tinyTensor(HIDDEN, HIDDEN),
    [`${layer}.self_attn.k_proj.weight`]: tinyTensor(KEY_VALUE_SIZE, HIDDEN),
    [`${layer}.self_attn.v_proj.weight`]: tinyTensor(KEY_VALUE_SIZE, HIDDEN),
    [`${layer}.self_attn.o_proj.weight`]: tinyTensor(HIDDEN, HIDDEN),
    [`${layer}.post_attention_layernorm.weight`]: tinyTensor(HIDDEN),
    [`${layer}.mlp.gate_proj.weight`]: tinyTensor(INTERMEDIATE, HIDDEN),
    [`${layer}.mlp.up_proj.weight`]: tinyTensor(INTERMEDIATE, HIDDEN),
    [`${layer}.mlp.down_proj.weight`]: tinyTensor(HIDDEN, INTERMEDIATE),
    "model.norm.weight": tinyTensor(HIDDEN),
    ...head,
  };
  const config = {
    architectures: [scores ? "LlamaForSequenceClassification" : "LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: TOKENS.length,
    hidden_size: HIDDEN,
    intermediate_size: INTERMEDIATE,
    num_hidden_layers: 1,
    num_attention_heads: HEADS,
    num_key_value_heads: KEY_VALUE_HEADS,
    max_position_embeddings: 128,
    rms_norm_eps: 1e-6,
    rope_theta: 10000,
    hidden_act: "silu",
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: 3,
    dtype: "float32",
    ...(scores ? { num_labels: 1, id2label: { 0: "LABEL_0" }, label2id: { LABEL_0: 0 } } : {}),
  };
  const fill = async (staging: string): Promise<void> => {
    await writeTokenizer(staging);
    await writeFile(join(staging, "config.json"), json(config));
    await writeFile(join(staging, "model.safetensors"), safetensorsBytes(tensors));
  };
  const parameters = Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);
  const tokenizer = textDigest(tokenizerJson());
  const plain: ModelDetails = { family: "llama", parameters, vocabSize: TOKENS.length, tokenizer };
  return writeArtifact(dir, { kind, details: complete(plain), createdBy: CREATED_BY, inputs: [] }, fill);
}

function tokenizerJson(): string {
  return json({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab: Object.fromEntries(TOKENS.map((token, id) => [token, id])), unk_token: "<unk>" },
  });
}

async function writeTokenizer(dir: string): Promise<void> {
  await writeFile(join(dir, "tokenizer.json"), tokenizerJson());
  await writeFile(
    join(dir, "tokenizer_config.json"),
    json({
      tokenizer_class: "PreTrainedTokenizerFast",
      unk_token: "<unk>",
      bos_token: "<s>",
      eos_token: "</s>",
      pad_token: "<pad>",
      model_max_length: 128,
    }),
  );
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
const lines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
