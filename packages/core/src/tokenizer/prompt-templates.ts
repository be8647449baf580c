/**
 * Prompt formats by name, those that MedicalGPT registers. `{query}` stands for the question. The separator starts every turn
 * but the first and follows the system prompt; the stop string ends an answer.
 */

export interface PromptTemplate {
  readonly systemPrompt: string;
  readonly prompt: string;
  readonly separator: string;
  readonly stop: string;
}

export const PROMPT_TEMPLATES = {
  vicuna: {
    systemPrompt:
      "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.",
    prompt: "USER: {query} ASSISTANT:",
    separator: "</s>",
    stop: "</s>",
  },
  base: {
    systemPrompt: "",
    prompt: "{query}",
    separator: "</s>",
    stop: "</s>",
  },
  alpaca: {
    systemPrompt:
      "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    prompt: "### Instruction:\n{query}\n\n### Response:\n",
    separator: "\n\n",
    stop: "</s>",
  },
  baichuan: {
    systemPrompt: "",
    prompt: "<reserved_102>{query}<reserved_103>",
    separator: "</s>",
    stop: "</s>",
  },
  baichuan2: {
    systemPrompt: "",
    prompt: "<reserved_106>{query}<reserved_107>",
    separator: "</s>",
    stop: "</s>",
  },
  ziya: {
    systemPrompt: "",
    prompt: "<human>:{query}\n<bot>:",
    separator: "\n",
    stop: "</s>",
  },
  linly: {
    systemPrompt: "",
    prompt: "User: {query}\nBot: ",
    separator: "\n",
    stop: "</s>",
  },
  chatglm: {
    systemPrompt: "",
    prompt: "问：{query}\n答：",
    separator: "\n",
    stop: "</s>",
  },
  chatglm2: {
    systemPrompt: "",
    prompt: "问：{query}\n\n答：",
    separator: "\n\n",
    stop: "</s>",
  },
  chatglm3: {
    systemPrompt: "",
    prompt: "<|user|>\n{query}<|assistant|>",
    separator: "\n",
    stop: "<|user|>",
  },
  phoenix: {
    systemPrompt:
      "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions.\n\n",
    prompt: "Human: <s>{query}</s>Assistant: ",
    separator: "</s>",
    stop: "</s>",
  },
  belle: {
    systemPrompt: "",
    prompt: "Human: {query}\n\nBelle: ",
    separator: "\n\n",
    stop: "</s>",
  },
  aquila: {
    systemPrompt:
      "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions.",
    prompt: "Human: {query}###Assistant:",
    separator: "###",
    stop: "</s>",
  },
  intern: {
    systemPrompt: "",
    prompt: "<|User|>:{query}<eoh>\n<|Bot|>:",
    separator: "<eoa>\n",
    stop: "<eoa>",
  },
  intern2: {
    systemPrompt: "<|im_start|>system\nYou are an AI assistant whose name is InternLM (书生·浦语).\n<|im_end|>\n",
    prompt: "<|im_start|>user\n{query}<|im_end|>\n<|im_start|>assistant\n",
    separator: "<|im_end|>\n",
    stop: "<|im_end|>",
  },
  starchat: {
    systemPrompt: "<system>\n",
    prompt: "<|user|>\n{query}<|end|>\n<|assistant|>\n",
    separator: "<|end|>\n",
    stop: "<|end|>",
  },
  llama2: {
    systemPrompt:
      "<<SYS>>\nYou are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe. Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses are socially unbiased and positive in nature.\n\nIf a question does not make any sense, or is not factually coherent, explain why instead of answering something not correct. If you don't know the answer to a question, please don't share false information.\n<</SYS>>\n\n",
    prompt: "[INST] {query} [/INST]",
    separator: "</s>",
    stop: "</s>",
  },
  llama3: {
    systemPrompt: "<|start_header_id|>system<|end_header_id|>\n\nYou are a helpful, excellent and smart assistant.",
    prompt:
      "<|start_header_id|>user<|end_header_id|>\n\n{query}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    separator: "<|eot_id|>",
    stop: "<|eot_id|>",
  },
  "llama2-zh": {
    systemPrompt: "[INST] <<SYS>>\nYou are a helpful assistant. 你是一个乐于助人的助手。\n<</SYS>>\n\n [/INST]",
    prompt: "[INST] {query} [/INST]",
    separator: "</s>",
    stop: "</s>",
  },
  mistral: {
    systemPrompt: "",
    prompt: "[INST] {query} [/INST]",
    separator: "</s>",
    stop: "</s>",
  },
  xverse: {
    systemPrompt: "",
    prompt: "Human: {query}\n\nAssistant: ",
    separator: "</s>",
    stop: "</s>",
  },
  chatml: {
    systemPrompt: "You are a helpful assistant.",
    prompt: "<|im_start|>user\n{query}<|im_end|>\n<|im_start|>assistant\n",
    separator: "<|im_end|>\n",
    stop: "<|im_end|>",
  },
  deepseek: {
    systemPrompt: "",
    prompt: "User: {query}\n\nAssistant:",
    separator: "</s>",
    stop: "</s>",
  },
  deepseek3: {
    systemPrompt: "",
    prompt: "<｜User｜>{query}<｜Assistant｜>",
    separator: "</s>",
    stop: "</s>",
  },
  deepseekcoder: {
    systemPrompt:
      "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you only answer questions related to computer science. For politically sensitive questions, security and privacy issues, and other non-computer science questions, you will refuse to answer\n",
    prompt: "### Instruction:\n{content}\n### Response:\n",
    separator: "\n",
    stop: "<|EOT|>",
  },
  yi: {
    systemPrompt: "",
    prompt: "<|im_start|>user\n{query}<|im_end|>\n<|im_start|>assistant\n",
    separator: "\n",
    stop: "<|im_end|>",
  },
  orion: {
    systemPrompt: "",
    prompt: "Human: {query}\n\nAssistant: </s>",
    separator: "</s>",
    stop: "</s>",
  },
  cohere: {
    systemPrompt: "<BOS_TOKEN>",
    prompt: "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{query}<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    separator: "</s>",
    stop: "</s>",
  },
  qwen: {
    systemPrompt: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
    prompt: "<|im_start|>user\n{query}<|im_end|>\n<|im_start|>assistant\n",
    separator: "\n",
    stop: "<|im_end|>",
  },
  qwen3: {
    systemPrompt: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
    prompt: "<|im_start|>user\n{query}<|im_end|>\n<|im_start|>assistant\n",
    separator: "\n",
    stop: "<|im_end|>",
  },
  qwen3_nothink: {
    systemPrompt: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
    prompt: "<|im_start|>user\n{query}<|im_end|>\n<|im_start|>assistant\n",
    separator: "\n",
    stop: "<|im_end|>",
  },
  qwen3_5: {
    systemPrompt: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
    prompt: "<|im_start|>user\n{query}<|im_end|>\n<|im_start|>assistant\n",
    separator: "\n",
    stop: "<|im_end|>",
  },
  qwen3_5_nothink: {
    systemPrompt: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
    prompt: "<|im_start|>user\n{query}<|im_end|>\n<|im_start|>assistant\n",
    separator: "\n",
    stop: "<|im_end|>",
  },
} as const satisfies Record<string, PromptTemplate>;

export type TemplateName = keyof typeof PROMPT_TEMPLATES;
