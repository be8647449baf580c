/**
 * What is trained lies in flat f32 arenas: values, gradients and optimizer moments of every parameter one after the
 * other, those that weight decay touches first, so that clipping, decay, the optimizer and all-reduce are a call each.
 */
import { InputError } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { machineMemory } from "../run/machine-memory.js";
import { empty, Parameter, sizeOf, type Tensor } from "../tensor/tensor.js";

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly decay: boolean;
  /** Fills the fresh f32 tensor. */
  readonly init: (value: Tensor) => void;
}

export interface ParameterArena {
  readonly values: Tensor;
  readonly gradients: Tensor;
  /** In the order of their specs. */
  readonly parameters: readonly Parameter[];
  /** Elements at the start of the arenas that weight decay applies to. */
  readonly decayed: number;
  /** @throws RangeError where none is called so */
  parameter(name: string): Parameter;
}

/**
 * Lays out, fills and returns trained parameters. Call it outside of any scope; `disposeArena` frees it.
 * @throws InputError where values, gradients and the optimizer's two moments are more than the machine's memory
 */
export function createArena(backend: Backend, specs: readonly ParameterSpec[]): ParameterArena {
  if (new Set(specs.map(({ name }) => name)).size < specs.length)
    throw new RangeError("two parameters of an arena have one name");
  const offsets = new Map<ParameterSpec, number>();
  let size = 0;
  let decayed = 0;
  for (const decay of [true, false]) {
    for (const spec of specs.filter((spec) => spec.decay === decay)) {
      offsets.set(spec, size);
      size += sizeOf(spec.shape);
    }
    if (decay) decayed = size;
  }
  const needed = 16 * size;
  const memory = machineMemory();
  if (needed > memory) {
    const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
    throw new InputError(
      `training ${size.toLocaleString("en")} parameters takes ${gib(needed)} GiB for values, gradients and moments, but this machine has ${gib(memory)}; train an adapter in place of every weight, lower its rank or train fewer modules`,
    );
  }
  const [values, gradients] = [empty(backend, [size], "f32"), empty(backend, [size], "f32")];
  backend.kernels.fill({ out: gradients, count: size, value: 0 });
  const parameters = specs.map((spec) => {
    const offset = offsets.get(spec) as number;
    const value = values.view(spec.shape, offset);
    spec.init(value);
    const parameter = new Parameter(spec.name, value, gradients.view(spec.shape, offset));
    value.dispose();
    return parameter;
  });
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  const parameter = (name: string): Parameter => {
    const found = byName.get(name);
    if (found === undefined) throw new RangeError(`the arena has no parameter ${name}`);
    return found;
  };
  return { values, gradients, parameters, decayed, parameter };
}

export function disposeArena(arena: ParameterArena): void {
  for (const tensor of [...arena.parameters, arena.values, arena.gradients]) tensor.dispose();
}

/** Whether Hugging Face's Trainer would decay this parameter: neither a norm's nor a bias. */
export function decays(name: string, isNorm: boolean): boolean {
  return !isNorm && !/bias|layernorm|rmsnorm|(^|\.)norm($|\.)|_norm($|\.)/i.test(name);
}
