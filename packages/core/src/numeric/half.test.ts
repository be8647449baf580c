import { expect, it } from "vitest";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "./half.js";

it("reads IEEE halves: normal, subnormal, infinite and NaN", () => {
  const halves = [0x3c00, 0xc000, 0x3555, 0x7bff, 0x0001, 0x83ff, 0x7c00, 0xfc00, 0x7e00].map(f16ToF32);
  expect(halves).toEqual([1, -2, 0.333251953125, 65504, 2 ** -24, -1023 * 2 ** -24, Infinity, -Infinity, NaN]);
});

it("rounds to the nearest bf16, ties to even, and keeps NaN and infinity", () => {
  const rounded = (value: number): number => bf16ToF32(f32ToBf16(value));
  expect(rounded(1 + 2 ** -8)).toBe(1);
  expect(rounded(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
  expect(rounded(1 + 2 ** -8 + 2 ** -20)).toBe(1 + 2 ** -7);
  expect(rounded(-3.4028234e38)).toBe(-Infinity);
  expect([rounded(NaN), rounded(Infinity), rounded(-0)]).toEqual([NaN, Infinity, -0]);
});

it("reads back every bf16 that is a number", () => {
  const numbers = Array.from({ length: 0x10000 }, (_, bits) => bits).filter((bits) => !Number.isNaN(bf16ToF32(bits)));
  expect(numbers.map((bits) => f32ToBf16(bf16ToF32(bits)))).toEqual(numbers);
});

it("reads back every half that is a number, and rounds what lies between two to the nearest, ties to even", () => {
  const numbers = Array.from({ length: 0x10000 }, (_, bits) => bits).filter((bits) => !Number.isNaN(f16ToF32(bits)));
  expect(numbers.map((bits) => f32ToF16(f16ToF32(bits)))).toEqual(numbers);
  const positive = Array.from({ length: 0x7bff }, (_, bits) => bits);
  const wrong = positive.filter((bits) => {
    const middle = (f16ToF32(bits) + f16ToF32(bits + 1)) / 2;
    const [below, tie, above] = [middle * (1 - 2 ** -20), middle, middle * (1 + 2 ** -20)].map(f32ToF16);
    return below !== bits || tie !== bits + (bits & 1) || above !== bits + 1;
  });
  expect(wrong).toEqual([]);
  expect([65_519.996, 65_520, -1e30, NaN].map(f32ToF16)).toEqual([0x7bff, 0x7c00, 0xfc00, 0x7e00]);
});
