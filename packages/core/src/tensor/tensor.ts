/**
 * Tensors and their lifetimes. A tensor is a handle on reference-counted storage: a dense row-major block of a backend's
 * buffer. Handles are freed by the scope they were made in, or by `dispose`; nothing waits for the garbage collector.
 */
import { MedgptError } from "@medgpt/artifacts";
import type { Backend, HostArray } from "../backends/backend.js";
import type { View } from "../backends/kernels.js";
import type { DType } from "../numeric/dtype.js";
import { adopt, currentOp, keep } from "./scope.js";

export type Shape = readonly number[];

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** A buffer shared by several handles, freed with the last of them. */
export class Storage {
  #references = 1;

  constructor(
    readonly backend: Backend,
    readonly buffer: number,
  ) {}

  get shared(): boolean {
    return this.#references > 1;
  }

  retain(): this {
    this.#references++;
    return this;
  }

  release(): void {
    if (--this.#references === 0) this.backend.free(this.buffer);
  }
}

/** A tensor was used after its scope ended or after `dispose`. */
export class FreedTensorError extends MedgptError {
  constructor(
    readonly shape: Shape,
    readonly op: string,
  ) {
    super(
      `${op}: a tensor of shape (${shape.join(", ")}) was used after it was freed; return it from its scope to keep it`,
    );
  }
}

/** An operation as the tensors that it made see it; autograd.ts makes and walks them. */
export interface GraphNode {
  readonly name: string;
  /** Grows in the order of the forward pass. */
  readonly sequence: number;
  readonly parents: readonly (Origin | undefined)[];
  readonly released: boolean;
  retain(): this;
  release(): void;
  /** Frees what it keeps, and lets go of the nodes before it. */
  free(): void;
  /** Adds to the gradient of one output; the caller keeps its handle. */
  accumulate(output: number, gradient: Tensor): void;
  /** Hands the gradients that it has to its parents. */
  propagate(): void;
}

/** Which output of which operation a tensor is. */
export interface Origin {
  readonly node: GraphNode;
  readonly output: number;
}

/** How to compute a tensor again from others. */
export interface Recompute {
  readonly inputs: readonly Tensor[];
  readonly compute: (inputs: readonly Tensor[]) => Tensor;
}

export class Tensor implements View {
  #recompute: Recompute | undefined;
  /** The operation that made this tensor, while gradients can flow back through it. */
  #origin: Origin | undefined;
  #storage: Storage | undefined;

  constructor(
    storage: Storage,
    readonly offset: number,
    readonly shape: Shape,
    readonly dtype: DType,
  ) {
    this.#storage = storage;
    adopt(this);
  }

  get storage(): Storage {
    if (this.#storage === undefined) throw new FreedTensorError(this.shape, currentOp());
    return this.#storage;
  }

  get backend(): Backend {
    return this.storage.backend;
  }

  get buffer(): number {
    return this.storage.buffer;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get disposed(): boolean {
    return this.#storage === undefined;
  }

  get origin(): Origin | undefined {
    return this.#origin;
  }

  /** Whether a gradient is wanted here: this is a trained parameter, or was computed from one. */
  get requiresGrad(): boolean {
    return this.#origin !== undefined;
  }

  /** Marks this as output number `output` of `node`. */
  attach(node: GraphNode, output: number): void {
    this.#origin = { node: node.retain(), output };
  }

  /** Set where this is cheaper to compute again than to keep for the backward pass. */
  get recompute(): Recompute | undefined {
    return this.#recompute;
  }

  /** Says that `compute` gives this tensor again from `inputs`, of which handles are kept as long as this one lives. */
  recomputable(inputs: readonly Tensor[], compute: Recompute["compute"]): void {
    this.#recompute = { inputs: inputs.map((input) => keep(input.view())), compute };
  }

  /** Another handle on `sizeOf(shape)` elements from `offset` (relative to this tensor), without history. */
  view(shape: Shape = this.shape, offset = 0): Tensor {
    if (offset < 0 || offset + sizeOf(shape) > this.size)
      throw new RangeError(
        `a view of shape (${shape.join(", ")}) at ${offset} does not fit into (${this.shape.join(", ")})`,
      );
    return new Tensor(this.storage.retain(), this.offset + offset, shape, this.dtype);
  }

  dispose(): void {
    this.#storage?.release();
    this.#storage = undefined;
    this.#origin?.node.release();
    this.#origin = undefined;
    for (const input of this.#recompute?.inputs ?? []) input.dispose();
    this.#recompute = undefined;
  }

  /** Waits for the value. bf16 and f16 arrive as float32. */
  async read(): Promise<Float32Array | Int32Array> {
    return (await this.backend.read(this, this.size)) as Float32Array | Int32Array;
  }

  /** Waits for a tensor of one element. */
  async item(): Promise<number> {
    return (await this.read())[0] as number;
  }
}

/**
 * A trained f32 tensor. Backward passes add to `grad`, which has the same shape and is cleared by the optimizer; both are
 * usually views into flat arenas.
 */
export class Parameter extends Tensor {
  constructor(
    readonly name: string,
    value: Tensor,
    readonly grad: Tensor,
  ) {
    super(value.storage.retain(), value.offset, value.shape, value.dtype);
  }

  override get requiresGrad(): boolean {
    return true;
  }

  override dispose(): void {
    super.dispose();
    this.grad.dispose();
  }
}

/** A tensor with undefined contents. */
export function empty(backend: Backend, shape: Shape, dtype: DType): Tensor {
  return new Tensor(new Storage(backend, backend.alloc(dtype, sizeOf(shape))), 0, shape, dtype);
}

export function zeros(backend: Backend, shape: Shape, dtype: DType): Tensor {
  const out = empty(backend, shape, dtype);
  backend.kernels.fill({ out, count: out.size, value: 0 });
  return out;
}

/** A tensor holding a copy of `data`: f32 from numbers or Float32Array, i32 from Int32Array. */
export function tensor(
  backend: Backend,
  data: readonly number[] | HostArray,
  shape: Shape,
  dtype: DType = data instanceof Int32Array ? "i32" : "f32",
): Tensor {
  if (data.length !== sizeOf(shape))
    throw new RangeError(`${data.length} values do not fill the shape (${shape.join(", ")})`);
  const host = Array.isArray(data)
    ? dtype === "i32"
      ? Int32Array.from(data)
      : Float64Array.from(data)
    : (data as HostArray);
  const out = empty(backend, shape, dtype);
  backend.write(out, host);
  return out;
}

/** A read-only tensor over a region of a file. */
export function mapped(backend: Backend, path: string, byteOffset: number, dtype: DType, shape: Shape): Tensor {
  return new Tensor(new Storage(backend, backend.map(path, byteOffset, dtype, sizeOf(shape))), 0, shape, dtype);
}
