/** What filters, tests and methods are given. */
import { TemplateError } from "./template-error.js";
import { isTrue, numberOf, typeName, type Value } from "./values.js";

export type Named = ReadonlyMap<string, Value>;

export function wrong(message: string): never {
  throw new TemplateError(message);
}

export function text(value: Value, what: string): string {
  return typeof value === "string" ? value : wrong(`${what} needs a string, got ${typeName(value)}`);
}

/** What a parameter was given, by its name or its place. */
export function given(named: Named, args: readonly Value[], at: number, name: string): Value | undefined {
  return named.has(name) ? named.get(name) : args[at];
}

export function flagged(named: Named, args: readonly Value[], at: number, name: string): boolean {
  return isTrue(given(named, args, at, name) ?? false);
}

export function whole(value: Value | undefined, otherwise: number): number {
  if (value === undefined || value === null) return otherwise;
  return numberOf(value) ?? wrong(`expected a number, got ${typeName(value)}`);
}
