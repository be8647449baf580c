import { expect, it } from "vitest";
import { erf } from "./erf.js";

it("equals torch.erf in double precision on both sides of every change of method", () => {
  // torch.erf(torch.tensor([0.1, 1., 2.4, 2.6, 4.], dtype=torch.float64))
  const expected = new Map([
    [0.1, 0.1124629160182849],
    [1, 0.8427007929497149],
    [2.4, 0.999311486103355],
    [2.6, 0.9997639655834707],
    [4, 0.9999999845827421],
  ]);
  for (const [x, value] of expected) {
    expect(erf(x)).toBeCloseTo(value, 14);
    expect(erf(-x)).toBe(-erf(x));
  }
  expect(erf(0)).toBe(0);
  expect([erf(Infinity), erf(-Infinity), erf(NaN)]).toEqual([1, -1, NaN]);
});
