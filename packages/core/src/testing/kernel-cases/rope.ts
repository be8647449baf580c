import { createRandom } from "../random.js";
import { close, floats, unset, type CaseBuffer, type KernelCase } from "./case.js";

export function ropeCases(): KernelCase<"rope">[] {
  const random = createRandom(17);
  const shapes = [
    [0, 2, 8, 4],
    [1, 1, 2, 1],
    [3, 2, 14, 7],
    [13, 3, 16, 8],
    [17, 1, 80, 40],
    [7, 5, 33, 13],
    [31, 2, 64, 32],
    [2, 7, 100, 17],
  ] as const;
  const types = [
    ["f32", "f32"],
    ["bf16", "bf16"],
    ["f32", "bf16"],
    ["bf16", "f32"],
  ] as const;
  const cases: KernelCase<"rope">[] = [];
  for (const [rows, heads, dim, half] of shapes) {
    const angles = random.normals(rows * half, 3);
    const table = new Float32Array(rows * 2 * half);
    angles.forEach((angle, i) => {
      const at = Math.floor(i / half) * 2 * half + (i % half);
      table[at] = Math.cos(angle);
      table[at + half] = Math.sin(angle);
    });
    for (const [type, outType] of types) {
      for (const inverse of [0, 1]) {
        for (const inPlace of type === outType ? [false, true] : [false]) {
          const x = floats(random.normals(rows * heads * dim), type);
          const out = inPlace ? "x" : "out";
          const outputs: Record<string, CaseBuffer> = inPlace ? {} : { out: unset(x.data.length, outType) };
          cases.push({
            name: `(${rows}, ${heads}, ${dim}) half ${half} ${type} to ${outType}${inverse ? ", inverse" : ""}${inPlace ? ", in place" : ""}`,
            buffers: { ...outputs, x, table: floats(table) },
            args: (view) => ({ out: view(out), x: view("x"), table: view("table"), rows, heads, dim, half, inverse }),
            outputs: { [out]: close(outType, 1e-6) },
          });
        }
      }
    }
  }
  return cases;
}
