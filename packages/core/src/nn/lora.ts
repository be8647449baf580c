/** Which modules an adapter touches and how it starts, as PEFT has it (huggingface/peft, src/peft/tuners/lora). */
import { InputError } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import type { Tensor } from "../tensor/tensor.js";

export interface LoraConfig {
  readonly r: number;
  readonly lora_alpha: number;
  readonly lora_dropout: number;
  /** Names or suffixes of modules, or a regular expression for the whole name; "all" and "all-linear" are every linear module but the head. */
  readonly target_modules: readonly string[] | string;
  readonly use_rslora: boolean;
  readonly modules_to_save: readonly string[];
}

/** alpha / r, or alpha / sqrt(r) for rslora (Kalajdzievski 2023, arXiv:2312.03732). */
export function loraScale({ r, lora_alpha, use_rslora }: LoraConfig): number {
  return lora_alpha / (use_rslora ? Math.sqrt(r) : r);
}

/**
 * Full names of the targeted modules, in the model's order.
 * @param linears full names of the linear modules below the layers
 * @throws InputError when a target matches nothing
 */
export function resolveTargets(targets: readonly string[] | string, linears: readonly string[]): string[] {
  if (targets === "all" || targets === "all-linear") return [...linears];
  if (typeof targets === "string") {
    const pattern = toPattern(targets);
    const found = linears.filter((name) => pattern.test(name));
    if (found.length === 0) throw noTarget(targets, linears);
    return found;
  }
  const matches = (name: string, target: string) => name === target || name.endsWith(`.${target}`);
  for (const target of targets) if (!linears.some((name) => matches(name, target))) throw noTarget(target, linears);
  return linears.filter((name) => targets.some((target) => matches(name, target)));
}

function toPattern(target: string): RegExp {
  try {
    return new RegExp(`^(?:${target})$`);
  } catch (cause) {
    throw new InputError(`target_modules: "${target}" is no regular expression (${(cause as Error).message})`, {
      cause,
    });
  }
}

function noTarget(target: string, linears: readonly string[]): InputError {
  const available = [...new Set(linears.map((name) => name.split(".").at(-1)))].join(", ");
  return new InputError(
    `target_modules: no linear module is called "${target}"; this model has ${available}, or use "all"`,
  );
}

/** Fills lora_A as torch's Linear does by default: uniform in +-1 / sqrt(in) (Kaiming with a = sqrt(5)). */
export function initLoraA(backend: Backend, value: Tensor, random: () => number): void {
  const bound = 1 / Math.sqrt(value.shape[1] as number);
  backend.write(
    value,
    Float32Array.from({ length: value.size }, () => (2 * random() - 1) * bound),
  );
}

export function initZero(backend: Backend, value: Tensor): void {
  backend.kernels.fill({ out: value, count: value.size, value: 0 });
}

/** The last part of each module's name, once each and sorted: what MedicalGPT's `--target_modules all` resolves to. */
export function suffixes(linears: readonly string[]): string[] {
  return [...new Set(linears.map((name) => name.slice(name.lastIndexOf(".") + 1)))].sort();
}

/** Uniform numbers in [0, 1) from a seed (splitmix32), to start parameters with. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let x = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}
