/** How far a number may be from the one expected: absolute + relative * |expected|, as torch.testing.assert_close. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/**
 * Throws unless every number is within the tolerance of its counterpart. NaN equals NaN, and an infinity itself. The
 * message tells the first and the worst place that is off.
 */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance): void {
  const { absolute, relative } = tolerance;
  if (actual.length !== expected.length) {
    throw new Error(`${actual.length} numbers came where ${expected.length} were expected`);
  }
  let count = 0;
  let first = -1;
  let worst = -1;
  let worstExcess = 0;
  for (let i = 0; i < expected.length; i++) {
    const came = actual[i]!;
    const wanted = expected[i]!;
    if (Object.is(came, wanted) || came === wanted) continue;
    const difference = Math.abs(came - wanted);
    const allowed = absolute + relative * Math.abs(wanted);
    if (difference <= allowed && Number.isFinite(wanted)) continue;
    const excess = Number.isFinite(difference) ? difference / allowed : Infinity;
    count++;
    if (first < 0) first = i;
    if (worst < 0 || excess > worstExcess) {
      worst = i;
      worstExcess = excess;
    }
  }
  if (count === 0) return;
  const at = (i: number): string =>
    `[${i}] is ${actual[i]}, expected ${expected[i]} (off by ${Math.abs(actual[i]! - expected[i]!)})`;
  throw new Error(
    `${count} of ${expected.length} numbers differ by more than ${absolute} + ${relative} * |expected|; first ${at(first)}, worst ${at(worst)}`,
  );
}
