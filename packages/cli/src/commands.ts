import type { CommandEntry } from "@medgpt/core/config";

/** Every command of medgpt: the stages in the order of the pipeline, then what works on what they write. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "data",
    summary: "Fetch, convert and look through data sets.",
    load: async () => (await import("@medgpt/data-medical")).command,
  },
  {
    name: "pretrain",
    summary: "Continue the pretraining of a causal language model on domain text, with LoRA or in full.",
    load: async () => (await import("@medgpt/pretrain")).command,
  },
  {
    name: "sft",
    summary: "Fine-tune a causal language model on conversations, with loss on the answers.",
    load: async () => (await import("@medgpt/sft")).command,
  },
  {
    name: "merge",
    summary: "Merge a LoRA adapter into its base and write a whole model.",
    load: async () => (await import("./merge.js")).command,
  },
  {
    name: "generate",
    summary: "Answer prompts with a model, with or without an adapter.",
    load: async () => (await import("./generate.js")).command,
  },
  {
    name: "chat",
    summary: "Talk with a model in the terminal.",
    load: async () => (await import("./chat.js")).command,
  },
  {
    name: "inspect",
    summary: "Show what training makes of data.",
    load: async () => (await import("./inspect.js")).command,
  },
  {
    name: "doctor",
    summary: "Say what this machine offers, and what to do about what is missing.",
    load: async () => (await import("./doctor.js")).command,
  },
];
