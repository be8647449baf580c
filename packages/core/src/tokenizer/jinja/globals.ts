/** What every template has beside its variables: Jinja2's functions and those of transformers. */
import { whole, wrong } from "./arguments.js";
import { spendOnItems, spendOnText } from "./steps.js";
import { Namespace, print, type Callable, type Value } from "./values.js";

export const GLOBALS: Readonly<Record<string, Callable>> = {
  range: (args) => {
    const [from, to] = args.length > 1 ? [whole(args[0], 0), whole(args[1], 0)] : [0, whole(args[0], 0)];
    const step = whole(args[2], 1);
    if (step === 0) wrong("range has a step of 0");
    const count = Math.max(0, Math.ceil((to - from) / step));
    if (count > 100_000) wrong("the range is too long");
    spendOnItems(count);
    return Array.from({ length: count }, (_, index) => from + index * step);
  },
  dict: (_, named) => new Map<Value, Value>(named),
  namespace: ([values], named) => {
    const space = new Namespace();
    for (const [key, value] of values instanceof Map ? values : []) space.values.set(String(key), value);
    for (const [key, value] of named) space.values.set(key, value);
    return space;
  },
  raise_exception: ([message]) => wrong(print(message ?? "")),
  strftime_now: ([format]) => strftime(new Date(), print(format ?? "")),
};

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]; // prettier-ignore

function strftime(date: Date, format: string): string {
  spendOnText(format.length);
  const two = (value: number): string => String(value).padStart(2, "0");
  const parts: Readonly<Record<string, () => string>> = {
    Y: () => String(date.getFullYear()),
    y: () => two(date.getFullYear() % 100),
    m: () => two(date.getMonth() + 1),
    d: () => two(date.getDate()),
    B: () => MONTHS[date.getMonth()] as string,
    b: () => (MONTHS[date.getMonth()] as string).slice(0, 3),
    A: () => DAYS[date.getDay()] as string,
    a: () => (DAYS[date.getDay()] as string).slice(0, 3),
    H: () => two(date.getHours()),
    I: () => two(((date.getHours() + 11) % 12) + 1),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    p: () => (date.getHours() < 12 ? "AM" : "PM"),
    "%": () => "%",
  };
  return format.replace(/%([a-zA-Z%])/g, (all, code: string) => parts[code]?.() ?? all);
}
