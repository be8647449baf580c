/** Weights between files and tensors. */
import { InputError } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { weightDType, type TensorInfo, type TensorToWrite } from "../checkpoint/safetensors.js";
import { keep, scope } from "../tensor/scope.js";
import { empty, mapped, type Shape, type Tensor } from "../tensor/tensor.js";

/**
 * A frozen weight: a matrix as it lies in its file, a vector as an f32 copy. No scope frees it.
 * @throws InputError where the file has another shape
 */
export function mapWeight(backend: Backend, info: TensorInfo, shape: Shape): Tensor {
  checkShape(info, shape);
  const file = keep(mapped(backend, info.path, info.byteOffset, weightDType(info), shape));
  return shape.length > 1 ? file : widened(file);
}

/** An f32 copy in the place of a tensor, which it frees. */
export function widened(file: Tensor): Tensor {
  const copy = keep(empty(file.backend, file.shape, "f32"));
  file.backend.kernels.copy({ out: copy, x: file, count: copy.size });
  file.dispose();
  return copy;
}

/**
 * Fills an f32 tensor from a file.
 * @throws InputError where the file has another shape
 */
export function copyWeight(value: Tensor, info: TensorInfo): void {
  checkShape(info, value.shape);
  scope(() => {
    const x = mapped(value.backend, info.path, info.byteOffset, weightDType(info), info.shape);
    value.backend.kernels.copy({ out: value, x, count: value.size });
  });
}

/** What is trained, as it is written into a file. */
export function tensorsToWrite(trained: ReadonlyMap<string, Tensor>): TensorToWrite[] {
  return [...trained].map(([name, value]) => ({
    ...{ name, dtype: "f32", shape: value.shape },
    data: () => value.backend.readBytes(value, value.size),
  }));
}

/**
 * Sets what is trained to the values in a folder's files.
 * @throws InputError where one is in no file, or has another shape
 */
export function restoreTensors(
  trained: ReadonlyMap<string, Tensor>,
  tensors: ReadonlyMap<string, TensorInfo>,
  dir: string,
): void {
  for (const [name, value] of trained) {
    const info = tensors.get(name);
    if (info === undefined) throw new InputError(`the checkpoint has no tensor "${name}"`, { place: dir });
    copyWeight(value, info);
  }
}

/**
 * @param origin what says so, as " from config.json"
 * @throws InputError where a file has another shape than it must
 */
export function checkShape({ name, path, shape: found }: TensorInfo, shape: Shape, origin = ""): void {
  if (found.join() !== shape.join())
    throw new InputError(`${name}: expected shape (${shape.join(", ")})${origin}, got (${found.join(", ")})`, {
      place: path,
    });
}
