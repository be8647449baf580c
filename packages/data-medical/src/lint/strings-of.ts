import type { Path } from "./locate.js";

/** Every string in a parsed row, at any depth, keys left out. */
export function* stringsOf(value: unknown, path: Path = []): Generator<{ path: Path; text: string }> {
  if (typeof value === "string") yield { path, text: value };
  else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      yield* stringsOf(item, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  }
}
