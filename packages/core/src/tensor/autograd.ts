/**
 * Reverse-mode differentiation. An op that wants gradients records a node: its inputs' nodes, the tensors its backward
 * pass needs, and that pass. Nodes are kept alive by the tensors and nodes computed from them, so dropping the loss drops
 * the graph. `backward` walks the nodes from last to first and frees what each saved as soon as it has run.
 */
import { MedgptError } from "@medgpt/artifacts";
import { keep, scope } from "./scope.js";
import { empty, Parameter, type GraphNode, type Origin, type Tensor } from "./tensor.js";

type Gradients = readonly (Tensor | undefined)[];

/**
 * @param gradients one per output of the op, undefined where nothing depends on that output
 * @returns one per input, undefined where none is needed
 */
export type BackwardPass = (gradients: Gradients) => Gradients;

let counter = 0;
let enabled = true;

class Operation implements GraphNode {
  readonly sequence = counter++;
  readonly gradients: (Tensor | undefined)[];
  #references = 0;
  #released = false;

  constructor(
    readonly name: string,
    readonly parents: readonly (Origin | undefined)[],
    /** The gradients of the inputs that are parameters. */
    readonly leaves: readonly (Tensor | undefined)[],
    readonly saved: readonly Tensor[],
    readonly backward: BackwardPass,
    outputs: number,
  ) {
    for (const parent of parents) parent?.node.retain();
    this.gradients = Array.from<undefined>({ length: outputs });
  }

  get released(): boolean {
    return this.#released;
  }

  retain(): this {
    this.#references++;
    return this;
  }

  release(): void {
    if (--this.#references === 0) this.free();
  }

  accumulate(output: number, gradient: Tensor): void {
    const sum = this.gradients[output];
    if (sum === undefined) {
      this.gradients[output] = keep(gradient.view());
      return;
    }
    const out = sum.storage.shared ? empty(sum.backend, sum.shape, sum.dtype) : sum;
    sum.backend.kernels.add({ out, a: sum, b: gradient, count: sum.size, alpha: 1, beta: 1 });
    if (out === sum) return;
    sum.dispose();
    this.gradients[output] = keep(out);
  }

  propagate(): void {
    if (this.gradients.every((gradient) => gradient === undefined)) return;
    scope(() => {
      this.backward(this.gradients).forEach((gradient, index) => {
        if (gradient === undefined) return;
        const parent = this.parents[index];
        parent?.node.accumulate(parent.output, gradient);
        const out = this.leaves[index];
        out?.backend.kernels.add({ out, a: out, b: gradient, count: out.size, alpha: 1, beta: 1 });
      });
    });
  }

  free(): void {
    if (this.#released) return;
    this.#released = true;
    for (const tensor of this.saved) tensor.dispose();
    for (const gradient of this.gradients) gradient?.dispose();
    this.gradients.fill(undefined);
    for (const parent of this.parents) parent?.node.release();
  }
}

/** Whether ops record how to differentiate them. */
export function gradEnabled(): boolean {
  return enabled;
}

/** Runs `body` without recording. */
export function noGrad<T>(body: () => T): T {
  return withGrad(false, body);
}

function withGrad<T>(value: boolean, body: () => T): T {
  const before = enabled;
  enabled = value;
  try {
    return body();
  } finally {
    enabled = before;
  }
}

/** The tensors that an op is given, by the names of its parameters where an error names them. */
export interface Operands {
  /** Differentiated: the op's backward pass returns their gradients, in this order. */
  readonly inputs?: readonly (Tensor | undefined)[];
  /** Trained where they are parameters: the op's backward pass adds to the `grad` of each. */
  readonly weights?: Readonly<Record<string, Tensor | undefined>>;
  /** Not differentiated. */
  readonly constants?: Readonly<Record<string, Tensor | undefined>>;
}

/**
 * Makes `outputs` differentiable with respect to what the op was given, where gradients are enabled and wanted.
 * @param save tensors the backward pass reads; `backward` receives them, those that can be computed again computed again
 * @throws MedgptError where a gradient is wanted that the op does not give
 */
export function record(
  name: string,
  { inputs = [], weights = {}, constants = {} }: Operands,
  outputs: readonly Tensor[],
  save: readonly Tensor[],
  backward: (gradients: Gradients, saved: readonly Tensor[]) => Gradients,
): void {
  if (!enabled) return;
  const computed = Object.entries(weights).filter(([, weight]) => !(weight instanceof Parameter));
  refuseGradients(name, { ...Object.fromEntries(computed), ...constants });
  if (![...inputs, ...Object.values(weights)].some((tensor) => tensor?.requiresGrad)) return;
  const kept: Tensor[] = [];
  const handle = (tensor: Tensor): Tensor => {
    const copy = keep(tensor.view());
    kept.push(copy);
    return copy;
  };
  const restore = save.map((tensor) => {
    const { recompute } = tensor;
    if (recompute === undefined) {
      const copy = handle(tensor);
      return () => copy;
    }
    const copies = recompute.inputs.map(handle);
    return () => recompute.compute(copies);
  });
  const pass: BackwardPass = (gradients) =>
    backward(
      gradients,
      restore.map((get) => get()),
    );
  const parents = inputs.map((input) => input?.origin);
  const node = new Operation(name, parents, inputs.map(gradOf), kept, pass, outputs.length);
  outputs.forEach((output, index) => output.attach(node, index));
}

/**
 * For tensors through which an op passes no gradient.
 * @throws MedgptError where gradients are enabled and one of them wants one
 */
export function refuseGradients(name: string, tensors: Readonly<Record<string, Tensor | undefined>>): void {
  if (!enabled) return;
  const [wanting] = Object.entries(tensors).find(([, tensor]) => tensor?.requiresGrad) ?? [];
  if (wanting !== undefined)
    throw new MedgptError(
      `${name}: no gradient passes through ${wanting}, but it is computed from something that is trained; run it under noGrad, or train ${wanting} itself`,
    );
}

/**
 * Differentiates `root`, adding to the `grad` of every parameter it depends on. The graph is consumed.
 * @param gradient d(loss)/d(root), of root's shape; 1 by default. Ownership stays with the caller.
 */
export function backward(root: Tensor, gradient?: Tensor): void {
  const origin = root.origin;
  if (origin === undefined) throw new MedgptError("backward: the tensor does not depend on any parameter");
  const nodes = reachable(origin.node);
  for (const node of nodes) {
    if (node.released) throw new MedgptError(`backward: the graph of ${node.name} was already consumed`);
    node.retain();
  }
  try {
    withGrad(false, () => {
      scope(() => {
        const seed = gradient?.view() ?? empty(root.backend, root.shape, root.dtype);
        if (gradient === undefined) root.backend.kernels.fill({ out: seed, count: seed.size, value: 1 });
        origin.node.accumulate(origin.output, seed);
      });
      for (const node of nodes) {
        node.propagate();
        node.free();
      }
    });
  } finally {
    for (const node of nodes) {
      node.free();
      node.release();
    }
  }
}

/** Every node that `last` depends on and itself, latest first. */
function reachable(last: GraphNode): GraphNode[] {
  const found = new Set([last]);
  for (const node of found) for (const parent of node.parents) if (parent !== undefined) found.add(parent.node);
  return [...found].sort((a, b) => b.sequence - a.sequence);
}

/** The gradient to add to where `weight` is trained, else undefined. `record` refuses weights for which that is too little. */
export function gradOf(weight: Tensor | undefined): Tensor | undefined {
  return weight instanceof Parameter ? weight.grad : undefined;
}

/**
 * Runs `body` now without keeping anything but its inputs, and once more during the backward pass. Kernels give the same
 * bits each time, so the gradients are those without checkpointing (Chen et al. 2016, arXiv:1604.06174).
 * @param constants tensors that `body` needs and that are not differentiated
 * @param body a function of its arguments alone; parameters it uses collect their gradients as usual
 */
export function checkpoint<C extends Readonly<Record<string, Tensor | undefined>>>(
  input: Tensor,
  constants: C,
  body: (input: Tensor, constants: C) => Tensor,
): Tensor {
  if (!enabled) return body(input, constants);
  refuseGradients("checkpoint", constants);
  const output = noGrad(() => scope(() => body(input, constants)));
  const wanted = input.requiresGrad;
  const saved = keep(input.view());
  const kept = Object.fromEntries(
    Object.entries(constants).map(([name, tensor]) => [name, tensor && keep(tensor.view())]),
  ) as C;
  const again: BackwardPass = ([gradient]) =>
    withGrad(true, () => {
      const leaf = new GradientLeaf(saved, wanted);
      try {
        const result = scope(() => body(leaf.tensor, kept));
        if (gradient !== undefined && result.requiresGrad) backward(result, gradient);
        return [leaf.gradient?.view()];
      } finally {
        leaf.gradient?.dispose();
      }
    });
  const held = Object.values(kept).filter((tensor) => tensor !== undefined);
  output.attach(new Operation("checkpoint", [input.origin], [gradOf(input)], [saved, ...held], again, 1), 0);
  return output;
}

/** A tensor with the value of another whose gradient, where wanted, is caught instead of passed on. */
class GradientLeaf {
  readonly tensor: Tensor;
  /** Owned by whoever made the leaf. */
  gradient: Tensor | undefined;

  constructor(value: Tensor, wanted: boolean) {
    this.tensor = value.view();
    if (!wanted) return;
    const pass: BackwardPass = ([gradient]) => {
      this.gradient = gradient && keep(gradient.view());
      return [];
    };
    this.tensor.attach(new Operation("checkpoint input", [], [], [], pass, 1), 0);
  }
}
