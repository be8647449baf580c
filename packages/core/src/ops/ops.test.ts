import { describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.js";
import { createJsBackend } from "../backends/js/js-backend.js";
import { createArena, disposeArena } from "../nn/parameters.js";
import { seededRandom } from "../numeric/seeded-random.js";
import { backward, noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { tensor, type Parameter, type Tensor } from "../tensor/tensor.js";
import { expectClose } from "../testing/all-close.js";
import { availableBackends } from "../testing/each-backend.js";
import { opCases, type OpCase } from "../testing/op-cases.js";
import * as ops from "./index.js";

const backends = await availableBackends();

/** Runs a case: its output, and every parameter's gradient for a fixed random upstream gradient. */
async function differentiate(test: OpCase, backend: Backend) {
  const random = seededRandom(11);
  const names = Object.keys(test.parameters);
  const specs = names.map((name) => ({
    name,
    shape: test.parameters[name] as readonly number[],
    decay: true,
    init: (value: Tensor) =>
      backend.write(
        value,
        Float32Array.from({ length: value.size }, () => 2 * random() - 1),
      ),
  }));
  const arena = createArena(backend, specs);
  const parameters = Object.fromEntries(names.map((name, index) => [name, arena.parameters[index] as Parameter]));
  const out = scope(() => test.run(parameters, { backend, ops }));
  const weights = Float32Array.from({ length: out.size }, () => 2 * random() - 1);
  const value = await out.read();
  scope(() => backward(out, tensor(backend, weights, out.shape)));
  out.dispose();
  const gradients = await Promise.all(arena.parameters.map((parameter) => parameter.grad.read()));
  return { arena, parameters, value, weights, gradients };
}

/** What decoding uses; no gradient flows through it. */
const WITHOUT_GRADIENT = ["attentionCached", "cacheRows", "packedHeads"];

describe("every differentiable op", () => {
  it("has a case", () => {
    const exported = Object.entries(ops).filter(([name, value]) => typeof value === "function" && /^[a-z]/.test(name));
    const missing = exported.map(([name]) => name).filter((name) => !opCases.some(({ op }) => op === name));
    expect(missing.sort()).toEqual(WITHOUT_GRADIENT);
  });

  it.each(opCases.map((test) => [`${test.op}: ${test.name}`, test] as const))(
    "%s: has the gradient of finite differences",
    async (_name, test) => {
      const backend = createJsBackend({ float64: true });
      const { arena, parameters, weights, gradients } = await differentiate(test, backend);
      const objective = async (): Promise<number> => {
        const out = scope(() => noGrad(() => test.run(parameters, { backend, ops })));
        const value = await out.read();
        out.dispose();
        return Array.from(value).reduce((total, x, index) => total + x * (weights[index] as number), 0);
      };
      const step = 1e-5;
      for (const [index, parameter] of arena.parameters.entries()) {
        const base = Float64Array.from(await parameter.read());
        const numeric: number[] = [];
        for (let element = 0; element < base.length; element++) {
          const shifted = async (by: number) => {
            backend.write(
              parameter,
              base.map((x, at) => (at === element ? x + by : x)),
            );
            return objective();
          };
          numeric.push(((await shifted(step)) - (await shifted(-step))) / (2 * step));
        }
        backend.write(parameter, base);
        expectClose(gradients[index] as Float32Array, numeric, { absolute: 1e-8, relative: 1e-6 });
      }
      disposeArena(arena);
      expect((await backend.sync(), backend.memory().liveBytes)).toBe(0);
    },
  );

  it.each(backends)("gives the oracle's values and gradients on $name", async ({ create }) => {
    for (const test of opCases) {
      const oracle = await differentiate(test, createJsBackend({ float64: true }));
      const backend = await create();
      const ours = await differentiate(test, backend);
      expectClose(ours.value, oracle.value, { absolute: 1e-5, relative: 1e-5 });
      ours.gradients.forEach((gradient, index) =>
        expectClose(gradient, oracle.gradients[index] as Float32Array, { absolute: 2e-5, relative: 1e-4 }),
      );
      await backend.dispose();
    }
  });
});
