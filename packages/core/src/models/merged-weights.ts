/** The weights of base + adapter as they go into the merged model's files, in blocks of rows. */
import { InputError } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { f32ToBf16, f32ToF16 } from "../numeric/half.js";
import type { View } from "../backends/kernels.js";
import { byteLength, loadableDType, type TensorInfo, type TensorToWrite } from "../checkpoint/safetensors.js";
import { scope } from "../tensor/scope.js";
import { empty, mapped, type Tensor } from "../tensor/tensor.js";
import type { RunContext } from "../run/run-context.js";
import { ScoreHead } from "./head.js";
import type { Role } from "./role.js";
import { findWeight } from "../checkpoint/stored-weights.js";
import { backboneSpecs, headSpec, SCORE } from "../nn/weight-specs.js";

/** Dtypes that a model can be written in. */
export type WeightDType = "f32" | "bf16" | "f16";

/** Elements that are held at once: 16 MiB of f32. */
const BLOCK = 4 << 20;

/** A weight of the merged model. */
export interface Part extends TensorToWrite {
  readonly dtype: WeightDType;
  /** Whether it is not the base's, byte for byte. */
  readonly changed: boolean;
  readonly data: () => AsyncIterable<Uint8Array>;
}

/** Every weight of the merged model, in the model's order. */
export function mergedParts(model: Role, asked: WeightDType | undefined): Part[] {
  const { backend, base, head, options } = model;
  const { names } = options;
  const scored = head instanceof ScoreHead;
  const last = scored ? [{ name: SCORE, shape: head.weight.shape }] : ownHead(model) ? [headSpec(options)] : [];
  const trained = trainedWhole(model);
  // What the adapter brings is stored in the base's dtype.
  const embedding = findWeight(base.checkpoint, names, `${names.embedding}.weight`) as TensorInfo;
  return [...backboneSpecs(options), ...last].map(({ name, shape }): Part => {
    const source = model.source(name);
    const own = floatDType(source);
    const stored = name === SCORE ? undefined : findWeight(base.checkpoint, names, name);
    const dtype = asked ?? floatDType(stored ?? embedding);
    const module = name.replace(/\.weight$/, "");
    const part = { name, shape, dtype, changed: dtype !== own || (trained.has(name) && name !== SCORE) };
    if (module !== name && model.loras(module).length > 0)
      return { ...part, changed: true, data: () => mergedBlocks(model, module, dtype) };
    return { ...part, data: () => mappedBlocks(backend, source, dtype) };
  });
}

/** Whether the merged model's head is a weight of its own. */
function ownHead(model: Role): boolean {
  return !model.options.tieWordEmbeddings || isUntied(model);
}

function floatDType(info: TensorInfo): WeightDType {
  const dtype = loadableDType(info);
  if (dtype === "i32" || dtype === "u8")
    throw new InputError(`${info.name}: expected weights in floating point, got ${info.storedDtype}`, {
      place: info.path,
    });
  return dtype;
}

/** The bytes of W + scale B A, or of its transpose where the weight is stored so. */
async function* mergedBlocks(model: Role, module: string, dtype: WeightDType): AsyncIterable<Uint8Array> {
  const { backend, options } = model;
  const weight = model.weight(`${module}.weight`);
  const { a, b, scale } = model.loras(module)[0]!;
  const [rows, cols] = weight.shape as [number, number];
  const [rank, width] = a.shape as [number, number];
  const transposed = "fanInFanOut" in options && options.fanInFanOut === true;
  const from = ({ buffer, offset, dtype }: View, start: number): View => ({ buffer, offset: offset + start, dtype });
  const step = Math.max(1, Math.floor(BLOCK / cols));
  for (let row = 0; row < rows; row += step) {
    const m = Math.min(step, rows - row);
    const factors = transposed
      ? { a: from(a, row), lda: width, aTrans: true, b, ldb: rank, bTrans: true }
      : { a: from(b, row * rank), lda: rank, aTrans: false, b: a, ldb: width, bTrans: false };
    const sum = scope(() => {
      const sum = empty(backend, [m, cols], "f32");
      backend.kernels.copy({ out: sum, x: weight.view([m, cols], row * cols), count: sum.size });
      const terms = [{ ...factors, k: rank, scale }];
      backend.kernels.matMul({ out: sum, ldc: cols, m, n: cols, bias: undefined, accumulate: 1, compute: 0, terms });
      return sum;
    });
    try {
      yield* blocks(sum, dtype);
    } finally {
      sum.dispose();
    }
  }
}

async function* mappedBlocks(backend: Backend, info: TensorInfo, dtype: WeightDType): AsyncIterable<Uint8Array> {
  const value = mapped(backend, info.path, info.byteOffset, loadableDType(info), info.shape);
  try {
    yield* blocks(value, dtype);
  } finally {
    value.dispose();
  }
}

/** The bytes of a tensor in a dtype, rounded by the backend where it has that dtype. */
async function* blocks(value: Tensor, dtype: WeightDType): AsyncIterable<Uint8Array> {
  const { backend } = value;
  const casts = value.dtype !== dtype && backend.dtypes.includes("bf16");
  for (let start = 0; start < value.size; start += BLOCK) {
    const count = Math.min(BLOCK, value.size - start);
    const block = scope(() => {
      const part = value.view([count], start);
      if (!casts) return part;
      const out = empty(backend, [count], dtype);
      backend.kernels.copy({ out, x: part, count });
      return out;
    });
    try {
      yield block.dtype === dtype
        ? await backend.readBytes(block, count)
        : rounded((await block.read()) as Float32Array, dtype);
    } finally {
      block.dispose();
    }
  }
}

function rounded(values: Float32Array, dtype: WeightDType): Uint8Array {
  const stored = dtype === "f32" ? values : Uint16Array.from(values, dtype === "bf16" ? f32ToBf16 : f32ToF16);
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

export function withProgress(parts: readonly Part[], { log, signal }: RunContext): Part[] {
  const total = totalBytes(parts);
  let done = 0;
  return parts.map((part) => ({
    ...part,
    data: async function* () {
      for await (const block of part.data()) {
        signal?.throwIfAborted();
        yield block;
        log({ type: "progress", task: "merging", done: (done += block.byteLength), total, unit: "bytes" });
      }
    },
  }));
}

export function totalBytes(parts: readonly Part[]): number {
  return parts.reduce((sum, { dtype, shape }) => sum + byteLength(dtype, shape), 0);
}

/** Names of the weights that adapters trained whole. */
function trainedWhole({ adapters }: Role): ReadonlySet<string> {
  return new Set(adapters.flatMap(({ wholeWeights }) => [...wholeWeights.trained]));
}

/** Whether the adapter gave a tied model a head of its own. */
export function isUntied(model: Role): boolean {
  const { tieWordEmbeddings, names } = model.options;
  const trained = trainedWhole(model);
  return tieWordEmbeddings && [names.embedding, names.head].some((module) => trained.has(`${module}.weight`));
}

export function coarsestChange(parts: readonly Part[]): WeightDType {
  const changed = new Set(parts.flatMap((part) => (part.changed ? [part.dtype] : [])));
  return (["bf16", "f16"] as const).find((dtype) => changed.has(dtype)) ?? "f32";
}
