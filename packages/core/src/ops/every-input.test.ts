/** No op drops a gradient without a word: each passes it on to a tensor that it was given, or refuses. */
import { MedgptError } from "@medgpt/artifacts";
import { describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.js";
import { createJsBackend } from "../backends/js/js-backend.js";
import { seededRandom } from "../numeric/seeded-random.js";
import { backward, noGrad } from "../tensor/autograd.js";
import { Parameter, sizeOf, Tensor, tensor, zeros, type Shape } from "../tensor/tensor.js";
import { expectClose } from "../testing/all-close.js";
import { opCases, type OpCase } from "../testing/op-cases.js";
import * as ops from "./index.js";

const float64 = (): Backend => createJsBackend({ float64: true });

/** Calls of what decoding uses, through which no gradient flows. */
const decoding: readonly OpCase[] = [
  {
    op: "cacheRows",
    name: "one token",
    parameters: { cache: [1, 1, 2, 3], x: [1, 3] },
    run: (p, { backend, ops }) => {
      ops.cacheRows(p["cache"]!, { x: p["x"]!, offset: 0, head: 3, stride: 3 }, places(backend));
      return p["cache"]!;
    },
  },
  {
    op: "attentionCached",
    name: "one token",
    parameters: { keys: [1, 1, 2, 3], values: [1, 1, 2, 3], x: [1, 3] },
    run: (p, { backend, ops }) => {
      const cache = { keys: p["keys"]!, values: p["values"]! };
      const options = { heads: 1, slopes: tensor(backend, [0.5], [1]) };
      return ops.attentionCached({ x: p["x"]!, offset: 0, head: 3, stride: 3 }, cache, places(backend), options);
    },
  },
];

function places(backend: Backend): ops.Places {
  return { slots: tensor(backend, [0], [1], "i32"), positions: tensor(backend, [1], [1], "i32") };
}

/** A copy of a value with other tensors in it. */
function mapTensors<T>(value: T, change: (tensor: Tensor) => Tensor): T {
  if (value instanceof Tensor) return change(value) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => mapTensors(item, change)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTensors(item, change)])) as T;
}

/** Runs a case, with `change` around the tensors that the first call of its op is given, in their order. */
function run(test: OpCase, backend: Backend, change: (tensor: Tensor, index: number) => Tensor): Tensor {
  const random = seededRandom(11);
  const filled = (shape: Shape) =>
    tensor(
      backend,
      Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1),
      shape,
    );
  const parameters = Object.fromEntries(Object.entries(test.parameters).map(([name, shape]) => [name, filled(shape)]));
  const call = ops[test.op] as (...args: unknown[]) => unknown;
  let calls = 0;
  const changed = (...args: unknown[]): unknown => {
    let index = 0;
    return call(...(calls++ === 0 ? mapTensors(args, (tensor) => change(tensor, index++)) : args));
  };
  return test.run(parameters, { backend, ops: { ...ops, [test.op]: changed } });
}

/** Each tensor that each case's op is given. */
const inputs = [...opCases, ...decoding].flatMap((test) => {
  let count = 0;
  run(test, float64(), (tensor) => (count++, tensor));
  return Array.from({ length: count }, (_, index) => ({ test, index, label: `${test.op}: ${test.name}: ${index}` }));
});

/** A tensor that is computed from a trained one, of the same values where they are numbers with a gradient. */
function computed(parameter: Parameter, like: Tensor): Tensor {
  const zero = zeros(like.backend, parameter.shape, "f32");
  const sum = ops.add(parameter, zero);
  if (like.dtype === "f32") return sum;
  const marked = like.view();
  marked.attach(sum.origin!.node, 0);
  return marked;
}

describe("every input of every op", () => {
  it("is known", () => expect(new Set(inputs.map(({ test }) => test.op)).size).toBeGreaterThan(10));

  it.each(inputs)("$label is differentiated or refused", async ({ test, index }) => {
    const backend = float64();
    let parameter: Parameter | undefined;
    const upstream = seededRandom(5);
    let weights: number[];
    try {
      const out = run(test, backend, (tensor, place) => {
        if (place !== index) return tensor;
        const value = tensor.dtype === "f32" ? tensor : zeros(backend, tensor.shape, "f32");
        parameter = new Parameter("traced", value, zeros(backend, tensor.shape, "f32"));
        return computed(parameter, tensor);
      });
      weights = Array.from({ length: out.size }, () => 2 * upstream() - 1);
      backward(out, tensor(backend, weights, out.shape));
    } catch (error) {
      expect(error).toBeInstanceOf(MedgptError);
      expect((error as Error).message).toMatch(
        new RegExp(`^${test.op.replace("attentionPacked", "attention")}: no gradient`),
      );
      return;
    }
    const objective = async (delta: readonly number[]): Promise<number> => {
      const shifted = (tensor_: Tensor) => ops.add(tensor_, tensor(backend, delta, tensor_.shape));
      const value = await noGrad(() =>
        run(test, backend, (tensor, at) => (at === index ? shifted(tensor) : tensor)),
      ).read();
      return Array.from(value).reduce((sum, x, at) => sum + x * weights[at]!, 0);
    };
    const numeric: number[] = [];
    const step = 1e-5;
    for (let element = 0; element < parameter!.size; element++) {
      const only = (by: number) => Array.from({ length: parameter!.size }, (_, at) => (at === element ? by : 0));
      numeric.push(((await objective(only(step))) - (await objective(only(-step)))) / (2 * step));
    }
    expectClose(await parameter!.grad.read(), numeric, { absolute: 1e-8, relative: 1e-6 });
  });
});
