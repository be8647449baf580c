import { createRandom } from "../random.js";
import { CACHED, CACHED_HEADS, PLACE_TYPES } from "./cached.js";
import { close, floats, ints, unset, type KernelCase } from "./case.js";

export function attentionCachedCases(): KernelCase<"attentionCached">[] {
  const random = createRandom(28);
  return CACHED.flatMap(({ slots, positions, slotCount, capacity }) =>
    CACHED_HEADS.flatMap(({ heads, kvHeads, dim, packed, softCap = 0, window = 0, slopes }) =>
      PLACE_TYPES.map(([out, cache]): KernelCase<"attentionCached"> => {
        const rows = slots.length;
        const qHead = packed ? 3 * dim : dim;
        const size = slotCount * kvHeads * capacity * dim;
        return {
          name: `${rows} rows of ${heads}/${kvHeads} heads of ${dim}${packed ? ", packed" : ""}${softCap ? ", capped, window" : ""}${slopes ? ", ALiBi" : ""}, ${cache} to ${out}`,
          buffers: {
            out: unset(rows * heads * dim, out),
            q: floats(random.normals(rows * heads * qHead), out),
            ...{ keys: floats(random.normals(size), cache), values: floats(random.normals(size), cache) },
            ...{ slots: ints(slots), positions: ints(positions) },
            ...(slopes ? { slopes: floats(Float32Array.from({ length: heads }, (_, h) => 2 ** -(h + 1))) } : {}),
          },
          args: (view) => ({
            ...{ out: view("out"), q: view("q"), keys: view("keys"), values: view("values") },
            ...{ slots: view("slots"), positions: view("positions"), slopes: slopes ? view("slopes") : undefined },
            ...{ slotCount, capacity, rows, heads, kvHeads, dim, qStride: heads * qHead, qHead },
            ...{ scale: 1 / Math.sqrt(dim), softCap, window },
          }),
          outputs: { out: close(out, 2e-5) },
        };
      }),
    ),
  );
}
