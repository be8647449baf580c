import { createRandom } from "../random.js";
import { CACHED, CACHED_HEADS, PLACE_TYPES } from "./cached.js";
import { EXACT, floats, ints, type KernelCase } from "./case.js";

export function cacheRowsCases(): KernelCase<"cacheRows">[] {
  const random = createRandom(27);
  return CACHED.flatMap(({ slots, positions, slotCount, capacity }) =>
    CACHED_HEADS.flatMap(({ kvHeads: heads, dim, packed }) =>
      PLACE_TYPES.map(([x, cache]): KernelCase<"cacheRows"> => {
        const rows = slots.length;
        const xHead = packed ? 3 * dim : dim;
        return {
          name: `${rows} rows of ${heads} heads of ${dim}${packed ? ", packed" : ""}, ${x} to ${cache}`,
          buffers: {
            cache: floats(random.normals(slotCount * heads * capacity * dim), cache),
            x: floats(random.normals(rows * heads * xHead), x),
            ...{ slots: ints(slots), positions: ints(positions) },
          },
          args: (view) => ({
            ...{ cache: view("cache"), x: view("x"), slots: view("slots"), positions: view("positions") },
            ...{ slotCount, capacity, rows, heads, dim, xStride: heads * xHead, xHead },
          }),
          outputs: { cache: EXACT },
        };
      }),
    ),
  );
}
