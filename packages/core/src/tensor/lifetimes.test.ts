import { describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.js";
import { createJsBackend } from "../backends/js/js-backend.js";
import type { KernelName, Kernels } from "../backends/kernels.js";
import { createArena, disposeArena, type ParameterArena } from "../nn/parameters.js";
import { add, linear, linearCrossEntropy, rmsNorm, sum } from "../ops/index.js";
import { backward, checkpoint } from "./autograd.js";
import { scope } from "./scope.js";
import { FreedTensorError, tensor, zeros, type Tensor } from "./tensor.js";

/** A backend whose kernel call number `failing` throws, as a shape check or an enqueue may. */
function failingAt(failing: number): { backend: Backend; calls: () => number } {
  const inner = createJsBackend();
  let calls = 0;
  const kernels = Object.fromEntries(
    Object.entries(inner.kernels).map(([name, run]) => [
      name,
      (args: never) => {
        if (calls++ === failing) throw new Error(`kernel ${name as KernelName} refused`);
        (run as (args: never) => void)(args);
      },
    ]),
  ) as unknown as Kernels;
  const backend = new Proxy(inner, {
    get: (target, key) => {
      if (key === "kernels") return kernels;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { backend, calls: () => calls };
}

function makeArena(backend: Backend): ParameterArena {
  const fill = (value: Tensor) =>
    backend.write(
      value,
      Float32Array.from({ length: value.size }, (_, i) => Math.sin(i + 1)),
    );
  return createArena(backend, [
    { name: "w", shape: [6, 6], decay: true, init: fill },
    { name: "a", shape: [2, 6], decay: true, init: fill },
    { name: "b", shape: [6, 2], decay: true, init: fill },
    { name: "norm", shape: [6], decay: false, init: fill },
    { name: "head", shape: [9, 6], decay: true, init: fill },
  ]);
}

/** Forward and backward through norms, adapters, dropout, a checkpointed layer and the loss. */
function trainingStep(backend: Backend, arena: ParameterArena): void {
  const [w, a, b, norm, head] = [...arena.parameters] as unknown as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const dropout = { p: 0.1, seed: 1, step: 1, microStep: 0, site: 0 };
  const layer = (x: Tensor): Tensor =>
    scope(() => {
      const [normed, residual] = rmsNorm(x, norm, { eps: 1e-5 });
      const [y] = linear(normed, [{ weight: w, loras: [{ a, b, scale: 2, dropout }] }], "f32") as [Tensor];
      return add(residual, y);
    });
  scope(() => {
    const x = tensor(
      backend,
      Float32Array.from({ length: 18 }, (_, i) => Math.cos(i)),
      [3, 6],
    );
    const hidden = checkpoint(layer(x), {}, layer);
    const labels = tensor(backend, Int32Array.of(1, -100, 4), [3]);
    backward(sum(linearCrossEntropy(hidden, head, labels, { compute: "f32" }).nll, 0.5));
  });
}

describe("lifetimes", () => {
  it("leaves nothing alive wherever in a training step a kernel throws", async () => {
    const whole = failingAt(-1);
    const arena = makeArena(whole.backend);
    const first = whole.calls();
    trainingStep(whole.backend, arena);
    const last = whole.calls();
    expect(last - first).toBeGreaterThan(25);
    disposeArena(arena);
    expect(whole.backend.memory().liveBuffers).toBe(0);
    for (let failing = first; failing < last; failing++) {
      const { backend } = failingAt(failing);
      const arena = makeArena(backend);
      const before = backend.memory();
      expect(() => trainingStep(backend, arena)).toThrow(/refused/);
      expect(backend.memory().liveBuffers, `after kernel call ${failing}`).toBe(before.liveBuffers);
      expect(backend.memory().liveBytes).toBe(before.liveBytes);
      disposeArena(arena);
      await backend.sync();
    }
  });

  it("names the op that used a freed tensor", () => {
    const backend = createJsBackend();
    const x = zeros(backend, [2, 3], "f32");
    const weight = zeros(backend, [3], "f32");
    x.dispose();
    expect(() => rmsNorm(x, weight, { eps: 1 })).toThrow(FreedTensorError);
    expect(() => rmsNorm(x, weight, { eps: 1 })).toThrow(/rmsNorm: a tensor of shape \(2, 3\)/);
  });

  it("refuses a scope that returns a promise", () => {
    const asynchronous = (() => Promise.resolve(1)) as () => never;
    expect(() => scope(asynchronous)).toThrow(/synchronous/);
    // @ts-expect-error: the same by type
    expect(() => scope(() => Promise.resolve(1))).toThrow(/synchronous/);
  });

  it("frees what the backward pass has used before it goes on", async () => {
    const backend = createJsBackend();
    const arena = makeArena(backend);
    const [, , , norm] = [...arena.parameters] as unknown as [Tensor, Tensor, Tensor, Tensor];
    const depth = 8;
    const loss = scope(() => {
      let x: Tensor = tensor(backend, new Float32Array(6000).fill(0.5), [1000, 6]);
      for (let i = 0; i < depth; i++) {
        const next = scope(() => add(...rmsNorm(x, norm, { eps: 1e-5 })));
        x.dispose();
        x = next;
      }
      return sum(x);
    });
    const held = backend.memory().liveBytes;
    backend.resetPeak();
    backward(loss);
    // Gradients come while saved inputs go, so the peak grows by a few activations and not by one a layer.
    expect(backend.memory().peakBytes - held).toBeLessThan(4 * 24_000);
    loss.dispose();
    disposeArena(arena);
    await backend.sync();
    expect(backend.memory().liveBytes).toBe(0);
  });
});
