/** Conversion between f32 and the two 16-bit float formats, by their bits. JavaScript has no type for either on Node 20. */

const scratch = new Float32Array(1);
const bits = new Uint32Array(scratch.buffer);

/** bfloat16 is the upper half of an f32. */
export function bf16ToF32(half: number): number {
  bits[0] = half << 16;
  return scratch[0]!;
}

/** Rounds to nearest even; a NaN stays a NaN. */
export function f32ToBf16(value: number): number {
  scratch[0] = value;
  const word = bits[0]!;
  if (Number.isNaN(value)) return (word >>> 16) | 0x40;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

/** IEEE half: 1 sign bit, 5 exponent bits with bias 15, 10 fraction bits. */
export function f16ToF32(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Rounds to nearest even; from 65520 on to infinity; a NaN stays a NaN. */
export function f32ToF16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65_520) return sign | 0x7c00;
  // Steps of the result: 2^-24 below 2^-14, above that 2^-10 of the power of two.
  scratch[0] = size;
  const exponent = Math.max((bits[0]! >>> 23) - 127, -14);
  const steps = size * 2 ** (10 - exponent);
  const below = Math.floor(steps);
  const rest = steps - below;
  const rounded = below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
  // A carry out of the fraction goes into the exponent by itself.
  return sign | ((exponent + 14) * 1024 + rounded);
}
