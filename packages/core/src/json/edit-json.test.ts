import { expect, it } from "vitest";
import { editJson } from "./edit-json.js";

it("spells the numbers that it leaves alone as they were", () => {
  const text = `\uFEFF{"cap": 30.0, "eps": 1e-05, "rope": {"theta": 10000.0, "list": [1.0, 2, -0.5, 0.0]}, "long": 1000000000000000019884624838656}`;
  expect(editJson(text, {})).toBe(`{
  "cap": 30.0,
  "eps": 1e-05,
  "rope": {
    "theta": 10000.0,
    "list": [
      1.0,
      2,
      -0.5,
      0.0
    ]
  },
  "long": 1000000000000000019884624838656
}
`);
});

it("sets, adds and removes keys, and leaves numbers inside strings to them", () => {
  const text = '{"torch_dtype": "float16", "tied": true, "name": "a \\"1.0\\" 2.0", "\\u00e9": null}';
  const edited = editJson(text, { torch_dtype: undefined, tied: false, dtype: "float32", labels: { "0": "A" } });
  expect(JSON.parse(edited)).toEqual({
    tied: false,
    name: 'a "1.0" 2.0',
    é: null,
    dtype: "float32",
    labels: { "0": "A" },
  });
  expect(Object.keys(JSON.parse(edited) as object)[0]).toBe("tied");
});
