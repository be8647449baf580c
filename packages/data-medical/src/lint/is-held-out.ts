import { basename, dirname } from "node:path";

const HELD_OUT = /(?:^|[-_.])(?:validation|valid|val|dev|eval|test)(?:[-_.]|$)/i;

/** Whether the name of a file, or of its folder, says that its rows are held out for validation or test. */
export function isHeldOut(file: string): boolean {
  return HELD_OUT.test(basename(file)) || HELD_OUT.test(basename(dirname(file)));
}
