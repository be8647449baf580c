/** A tensor of 32-bit floats, row-major. */
export interface TinyTensor {
  shape: readonly number[];
  data: Float32Array;
}

/** The bytes of a safetensors file with these tensors, all F32, in the order given. */
export function safetensorsBytes(tensors: Readonly<Record<string, TinyTensor>>): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, (end += data.byteLength)] };
  }
  const text = JSON.stringify(header);
  const headerBytes = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8)); // data start at a multiple of 8
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(headerBytes.length));
  const data = Object.values(tensors).map(
    (tensor) => new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength),
  );
  return Buffer.concat([length, headerBytes, ...data]);
}

/** A tensor of small values that differ from place to place and are the same in every run. */
export function tinyTensor(...shape: number[]): TinyTensor {
  const size = shape.reduce((product, length) => product * length, 1);
  return { shape, data: Float32Array.from({ length: size }, (_, index) => Math.sin(index * 12.9898 + size) * 0.05) };
}
