/** Rows of the log that a run gets where the user left it to us. */
const ROWS = 10;

/**
 * Steps between two logged rows: those asked for, but about ten rows for a run that is shorter, where nobody asked.
 * @param asked by the user or, with `isDefault`, by nobody
 */
export function loggingInterval(asked: number, maxSteps: number, isDefault: boolean): number {
  return isDefault && maxSteps < asked ? Math.max(1, Math.round(maxSteps / ROWS)) : asked;
}
