/** How the factors of a fresh adapter start, as PEFT has it (huggingface/peft, src/peft/tuners/lora). */
import type { Backend } from "../backends/backend.js";
import type { Tensor } from "../tensor/tensor.js";

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
