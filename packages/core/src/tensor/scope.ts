/**
 * Scopes own the tensors made while they run and free them at their end, in the normal case all but the ones returned,
 * after a throw all of them. They are synchronous, so "while they run" has no second meaning.
 */
import { MedgptError } from "@medgpt/artifacts";

type NotPromise<T> = T extends PromiseLike<unknown> ? { error: "a scope is synchronous: await outside of it" } : T;

/** A tensor, as far as its owner knows it. */
interface Owned {
  readonly storage: unknown;
  dispose(): void;
}

const scopes: Set<Owned>[] = [];
const ops: string[] = [];

/** Registers a new tensor with the innermost scope; outside of every scope the caller owns it. */
export function adopt(tensor: Owned): void {
  scopes.at(-1)?.add(tensor);
}

/** Takes a tensor out of the innermost scope, so that it lives until its owner disposes it. */
export function keep<T extends Owned>(tensor: T): T {
  scopes.at(-1)?.delete(tensor);
  return tensor;
}

/** Name of the op that runs now, for messages. */
export function currentOp(): string {
  return ops.at(-1) ?? "tensor";
}

/**
 * Runs `body` and frees every tensor made in it except those it returns (alone, or in an array or plain object), which
 * pass to the surrounding scope. Returning a promise is an error, by type and at run time.
 */
export function scope<T>(body: () => NotPromise<T>): T {
  const owned = new Set<Owned>();
  scopes.push(owned);
  let result: T;
  try {
    result = body() as T;
    if (isPromise(result)) {
      result.then(undefined, () => {});
      throw new MedgptError("scope: the body returned a promise; a scope is synchronous, await outside of it");
    }
  } catch (error) {
    scopes.pop();
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
  scopes.pop();
  const outer = scopes.at(-1);
  forEachTensor(result, (tensor) => {
    if (owned.delete(tensor)) outer?.add(tensor);
  });
  for (const tensor of owned) tensor.dispose();
  return result;
}

/** Names a function of tensors as an op: it runs in a scope of its own and errors inside it carry its name. */
export function op<A extends readonly unknown[], R>(name: string, body: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    ops.push(name);
    try {
      return scope<R>(() => body(...args) as NotPromise<R>);
    } finally {
      ops.pop();
    }
  };
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function forEachTensor(value: unknown, visit: (tensor: Owned) => void): void {
  if (typeof value !== "object" || value === null) return;
  if ("storage" in value && "dispose" in value) visit(value as Owned);
  else if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) forEachTensor(item, visit);
}
