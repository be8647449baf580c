import { createRandom } from "../random.js";
import { close, floats, isZero, SIZES, type KernelCase } from "./case.js";

export function adamWCases(): KernelCase<"adamW">[] {
  const random = createRandom(26);
  const settings = [
    { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, step: 1 },
    { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.05, step: 2 },
    { lr: 2e-4, beta1: 0.9, beta2: 0.95, eps: 1e-6, weightDecay: 0.1, step: 1000 },
    { lr: 0, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1, step: 1 },
  ];
  return [0, ...SIZES, 5000].flatMap((count) =>
    settings.map((setting, i): KernelCase<"adamW"> => {
      const scaled = (count + i) % 2 === 0;
      const first = setting.step === 1;
      return {
        name: `${isZero(count)} parameters, step ${setting.step}, lr ${setting.lr}${scaled ? ", scaled" : ""}`,
        buffers: {
          params: floats(random.normals(count)),
          grads: floats(random.normals(count)),
          expAvg: floats(first ? new Float32Array(count) : random.normals(count, 0.1)),
          expAvgSq: floats(first ? new Float32Array(count) : random.normals(count).map((value) => value * value)),
          gradScale: floats([0.31]),
        },
        args: (view) => ({
          params: view("params"),
          grads: view("grads"),
          expAvg: view("expAvg"),
          expAvgSq: view("expAvgSq"),
          gradScale: scaled ? view("gradScale") : undefined,
          count,
          ...setting,
        }),
        outputs: {
          params: close("f32", 1e-6, 1e-6),
          expAvg: close("f32", 1e-7, 1e-6),
          expAvgSq: close("f32", 1e-9, 1e-6),
        },
      };
    }),
  );
}
