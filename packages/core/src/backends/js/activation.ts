import { ACTIVATIONS, type Activation, type KernelArgs } from "../kernels.js";
import { erf } from "./erf.js";
import type { JsMemory } from "./memory.js";

const GELU_FACTOR = Math.sqrt(2 / Math.PI);

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const geluTanhArgument = (x: number): number => GELU_FACTOR * (x + 0.044715 * x ** 3);
const normalCdf = (x: number): number => 0.5 * (1 + erf(x / Math.SQRT2));

const VALUE: Record<Activation, (x: number) => number> = {
  silu: (x) => x * sigmoid(x),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(geluTanhArgument(x))),
  gelu: (x) => x * normalCdf(x),
  relu: (x) => (x <= 0 ? 0 : x),
};

const DERIVATIVE: Record<Activation, (x: number) => number> = {
  silu: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
  gelu_tanh: (x) => {
    const tanh = Math.tanh(geluTanhArgument(x));
    return 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * GELU_FACTOR * (1 + 3 * 0.044715 * x * x);
  },
  gelu: (x) => normalCdf(x) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
  relu: (x) => (x <= 0 ? 0 : 1),
};

export function activation(memory: JsMemory, args: KernelArgs<"activation">): void {
  const { count } = args;
  const out = memory.output(args.out, count);
  const x = memory.floats(args.x, count);
  const up = args.up && memory.floats(args.up, count);
  const value = VALUE[nameOf(args.kind)];
  for (let i = 0; i < count; i++) out[i] = value(x[i]!) * (up === undefined ? 1 : up[i]!);
}

export function activationBackward(memory: JsMemory, args: KernelArgs<"activationBackward">): void {
  const { count } = args;
  const dx = memory.output(args.dx, count);
  const dUp = args.dUp && memory.output(args.dUp, count);
  const dOut = memory.floats(args.dOut, count);
  const x = memory.floats(args.x, count);
  const up = args.up && memory.floats(args.up, count);
  const value = VALUE[nameOf(args.kind)];
  const derivative = DERIVATIVE[nameOf(args.kind)];
  for (let i = 0; i < count; i++) {
    const inner = x[i]!;
    const gradient = dOut[i]!;
    dx[i] = gradient * derivative(inner) * (up === undefined ? 1 : up[i]!);
    if (dUp !== undefined) dUp[i] = gradient * value(inner);
  }
}

function nameOf(kind: number): Activation {
  const name = ACTIVATIONS[kind];
  if (name === undefined) throw new Error(`there is no activation ${kind}; they are ${ACTIVATIONS.join(", ")}`);
  return name;
}
