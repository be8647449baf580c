/**
 * How much work a template may be. Templates come from model folders, which strangers write, and rendering blocks the event
 * loop: without an end to it, loops within loops would stop a server, or a training run, for ever.
 *
 * A step is an expression, a statement or a value that is compared or printed. Work that grows with a text or a list inside
 * of one step is counted too, so that a step is never long.
 */
import { TemplateError } from "./template-error.js";

/**
 * Of 136 published templates (those of trl 1.16, axolotl and others), the one in the middle takes 90,000 steps for 1,000 turns
 * with 64 tools; the hungriest, Cohere's command_a, which goes over all turns again at each, 10.7 million. More than twice
 * that is allowed. A step takes a fifth of a microsecond or so: the limit is reached in five seconds.
 */
export const MAX_STEPS = 25_000_000;

/** The template took more steps than it may. */
export class StepsError extends TemplateError {}

/** Rendering is synchronous: there is one count at a time. Outside of it nothing is counted. */
let [limit, left] = [Infinity, Infinity];

/** @throws StepsError where the work takes more steps than the limit */
export function withSteps<T>(most: number, work: () => T): T {
  const before = [limit, left] as const;
  [limit, left] = [most, most];
  try {
    return work();
  } finally {
    [limit, left] = before;
  }
}

export function spend(steps = 1): void {
  left -= steps;
  if (left < 0) throw new StepsError(`it takes more than ${limit} steps`);
}

/** For a pass over a text. */
export function spendOnText(length: number): void {
  spend(length / 16);
}

/** For making a list, or going through one: items take memory too. */
export function spendOnItems(count: number): void {
  spend(count / 4);
}

/** For looking for a part: engines compare up to all of the part at each place, quickly. */
export function spendOnSearch(text: string, part: string): void {
  spend(text.length / 16 + (text.length / 256) * Math.min(part.length, text.length));
}
