import { expect, it } from "vitest";
import { loggingInterval } from "./cadence.js";

it.each([
  [500, 20, true, 2],
  [500, 4, true, 1],
  [500, 499, true, 50],
  [500, 500, true, 500],
  [500, 2000, true, 500],
  [500, 20, false, 500],
  [10, 4, false, 10],
])("logs every so many steps: asked %i of %i, by default %s", (asked, maxSteps, isDefault, expected) => {
  expect(loggingInterval(asked, maxSteps, isDefault)).toBe(expected);
});
