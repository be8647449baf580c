import { expect, it } from "vitest";
import { expectClose } from "./all-close.js";

const TOLERANCE = { absolute: 0.1, relative: 0.01 };

it("takes what is within the tolerance, equal infinities and NaN beside NaN", () => {
  expectClose([1.1, 100.9, NaN, Infinity, -0], [1, 100, NaN, Infinity, 0], TOLERANCE);
});

it.each([
  [[1.2], [1]],
  [[NaN], [1]],
  [[1], [NaN]],
  [[1], [Infinity]],
  [[-Infinity], [Infinity]],
  [[1, 2], [1]],
])("refuses %j where %j is expected", (actual, expected) => {
  expect(() => expectClose(actual, expected, TOLERANCE)).toThrow();
});

it("tells the first and the worst difference", () => {
  expect(() => expectClose([1, 2, 9, 4], [1, 1, 1, 1], TOLERANCE)).toThrow(
    /^3 of 4 .* first \[1\] is 2, expected 1 .* worst \[2\] is 9/,
  );
});
