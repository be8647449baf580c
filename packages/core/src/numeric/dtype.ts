/** Element types a tensor can have, named as safetensors and PyTorch abbreviate them. */
export type DType = "f32" | "bf16" | "f16" | "i32" | "u8";

/** Bytes of one element. */
export const BYTES: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, f16: 2, i32: 4, u8: 1 };

/** Order of the dtypes on the wire to the native backend. */
export const DTYPES: readonly DType[] = ["f32", "bf16", "f16", "i32", "u8"];
