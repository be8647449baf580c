/** Operators of numbers, strings and lists, as Python has them. */
import { wrong } from "./arguments.js";
import { spend } from "./steps.js";
import { bounded, formatted } from "./strings.js";
import { Float, numberOf, print, typeName, Undefined, type Value } from "./values.js";

export function arithmetic(name: string, result: number, ...from: Value[]): Value {
  if (!Number.isFinite(result) && name !== "float") wrong(`${name}: no number comes out`);
  return from.some((value) => value instanceof Float) ? new Float(result) : result;
}

/** Engines put texts together without copying them, so that this is one step. */
function added(a: string, b: string): string {
  bounded(a.length + b.length);
  return a + b;
}

/** a operator b, of numbers, strings and lists. */
export function operate(operator: string, a: Value, b: Value): Value {
  if (operator === "~") return added(print(a), print(b));
  for (const value of [a, b]) if (value instanceof Undefined) wrong(`"${value.what}" is undefined`);
  if (operator === "+" && typeof a === "string" && typeof b === "string") return added(a, b);
  if (operator === "+" && Array.isArray(a) && Array.isArray(b)) {
    spend(a.length + b.length);
    return [...a, ...b];
  }
  if (operator === "*" && (typeof a === "string" || Array.isArray(a)) && typeof b === "number") {
    const times = Math.max(0, b);
    bounded(a.length * times);
    spend(a.length * times * (typeof a === "string" ? 1 / 16 : 1));
    return typeof a === "string"
      ? a.repeat(times)
      : Array.from({ length: a.length * times }, (_, at) => a[at % a.length]!);
  }
  if (operator === "%" && typeof a === "string") return formatted(a, Array.isArray(b) ? b : [b]);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x === undefined || y === undefined) return wrong(`${typeName(a)} ${operator} ${typeName(b)} is not possible`);
  if (["/", "//", "%"].includes(operator) && y === 0) wrong("division by zero");
  switch (operator) {
    case "+":
      return arithmetic("+", x + y, a, b);
    case "-":
      return arithmetic("-", x - y, a, b);
    case "*":
      return arithmetic("*", x * y, a, b);
    case "/":
      return new Float(x / y);
    case "//":
      return arithmetic("//", Math.floor(x / y), a, b);
    case "%":
      return arithmetic("%", x - y * Math.floor(x / y), a, b);
    default:
      return Number.isInteger(x ** y) ? arithmetic("**", x ** y, a, b) : new Float(x ** y);
  }
}
