/**
 * Looks through the lengths and counts of a parquet file before the library follows them: a wrong one would send it round
 * in circles or make it fill all memory. What they lead to, the values, is the library's to judge.
 * https://parquet.apache.org/docs/file-format/data-pages/encodings/
 */
import type { ColumnMetaData, Compressors } from "hyparquet";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import { compressors } from "hyparquet-compressors";

/** Structs and lists within each other; a footer has fewer than 12. */
const MAX_DEPTH = 32;

/** Of a page, before compression. Some writers make one page of a row group; the format itself ends at 2^31. */
const MAX_PAGE_BYTES = 1 << 30;

/** By the names of `ColumnMetaData.codec`. */
export const decompressors: Compressors = { ...compressors, LZ4: decompressLz4 };

interface Reader {
  readonly view: DataView;
  offset: number;
}

/**
 * Passes over a struct of Thrift's compact protocol, as the footer and the headers of pages are.
 * @throws RangeError where it is longer than the bytes, or nested too deeply
 */
export function skipStruct(reader: Reader, depth = 0): void {
  if (depth > MAX_DEPTH) throw new RangeError(`metadata that is nested more than ${MAX_DEPTH} deep`);
  for (;;) {
    const byte = reader.view.getUint8(reader.offset++);
    if ((byte & 15) === 0) return;
    if (byte >> 4 === 0) readVarint(reader); // the number of the field
    skipValue(reader, byte & 15, depth);
  }
}

function skipValue(reader: Reader, type: number, depth: number): void {
  if (depth > MAX_DEPTH) throw new RangeError(`metadata that is nested more than ${MAX_DEPTH} deep`);
  if (type === 3) reader.offset += 1;
  else if (type >= 4 && type <= 6) readVarint(reader);
  else if (type === 7) reader.offset += 8;
  else if (type === 8) {
    const length = readVarint(reader);
    reader.offset += length;
  } else if (type === 12) skipStruct(reader, depth + 1);
  else if (type === 9) {
    const byte = reader.view.getUint8(reader.offset++);
    const count = byte >> 4 === 15 ? readVarint(reader) : byte >> 4;
    const left = reader.view.byteLength - reader.offset;
    if (count > left) throw new RangeError(`a list of ${count} values in ${left} bytes`);
    const element = byte & 15;
    for (let i = 0; i < count; i++) skipValue(reader, element <= 2 ? 3 : element, depth + 1);
  } else if (type > 2) throw new RangeError(`a value of the unknown type ${type} in the metadata`); // 1 and 2: true, false
  if (reader.offset > reader.view.byteLength) throw new RangeError("metadata that is cut off");
}

/** An unsigned number of at most 64 bits; it is rounded from 2^53 on, where it cannot be a length. */
function readVarint(reader: Reader): number {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = reader.view.getUint8(reader.offset++);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw new RangeError("a number of more than 64 bits");
}

export interface ColumnLevels {
  /** The largest definition level: how many of the column's ancestors and itself may be missing or repeated. */
  readonly definition: number;
  /** The largest repetition level: how many of them are repeated. */
  readonly repetition: number;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Looks through the pages of a column of a row group.
 * @param maxValues how many values, missing ones included, it may have
 * @throws RangeError where one says what cannot be
 */
export function checkPages(
  chunk: ArrayBuffer,
  { codec, type }: ColumnMetaData,
  levels: ColumnLevels,
  maxValues: number,
): void {
  const reader = { view: new DataView(chunk), offset: 0 };
  let left = maxValues;
  // The library, too, leaves out a last byte.
  while (reader.offset < chunk.byteLength - 1) {
    const begin = reader.offset;
    skipStruct(reader);
    // PageHeader of parquet.thrift
    const header = deserializeTCompactProtocol({ view: reader.view, offset: begin }) as Fields;
    const unpacked = count(header, 2, "bytes", MAX_PAGE_BYTES);
    const packed = count(header, 3, "bytes", chunk.byteLength - reader.offset);
    const page = new Uint8Array(chunk, reader.offset, packed);
    reader.offset += packed;
    const [data, dictionary, dataV2] = [5, 7, 8].map((id) => header[`field_${id}`] as Fields | undefined);
    const kind = header["field_1"];
    if (kind === 0 && data !== undefined) {
      const values = count(data, 1, "values", left);
      const content = readerOf(decompress(page, unpacked, codec));
      if (levels.repetition > 0) checkPrefixedRuns(content, bitsFor(levels.repetition), values);
      let nulls = 0;
      if (levels.definition > 0) {
        const again = { ...content };
        checkPrefixedRuns(content, bitsFor(levels.definition), values);
        const found = new Array<number>(values);
        readRleBitPackedHybrid(again, bitsFor(levels.definition), found);
        for (const level of found) if (level !== levels.definition) nulls++;
      }
      checkValues(content, data["field_2"], values - nulls, type === "BOOLEAN", false);
      left -= values;
    } else if (kind === 3 && dataV2 !== undefined) {
      const values = count(dataV2, 1, "values", left);
      const nulls = count(dataV2, 2, "missing values", values);
      count(dataV2, 3, "rows", values);
      const definition = count(dataV2, 5, "bytes of levels", packed);
      const repetition = count(dataV2, 6, "bytes of levels", packed - definition);
      if (levels.repetition > 0) checkRuns(readerOf(page), bitsFor(levels.repetition), values);
      if (levels.definition > 0)
        checkRuns({ ...readerOf(page), offset: repetition }, bitsFor(levels.definition), values);
      const rest = page.subarray(repetition + definition);
      const size = unpacked - repetition - definition;
      const content = readerOf(dataV2["field_7"] === false ? rest : decompress(rest, size, codec));
      checkValues(content, dataV2["field_4"], values - nulls, type === "BOOLEAN", true);
      left -= values;
    } else if (kind === 2 && dictionary !== undefined) {
      count(dictionary, 1, "values", unpacked);
    } else throw new RangeError(`a page of the unknown kind ${String(kind)}`);
  }
}

/** A number that must be there. */
function count(fields: Fields, id: number, what: string, max: number): number {
  const value = fields[`field_${id}`];
  if (typeof value !== "number" || value < 0 || value > max)
    throw new RangeError(`a page of ${String(value ?? "an unknown number of")} ${what} where at most ${max} can be`);
  return value;
}

function checkValues(reader: Reader, encoding: unknown, values: number, isBoolean: boolean, isV2: boolean): void {
  // By the numbers of parquet.thrift. The bytes of those left out, such as PLAIN, bound their values.
  if (encoding === 3 && (isBoolean || isV2)) checkPrefixedRuns(reader, 1, values);
  else if (encoding === 2 || encoding === 3 || encoding === 8) {
    const bits = reader.view.getUint8(reader.offset++);
    if (bits > 32) throw new RangeError(`indices of ${bits} bits`);
    if (bits > 0 || isV2) checkRuns(reader, bits, values); // the library reads no runs of no bits otherwise
  } else if (encoding === 5 || encoding === 6) skipDeltas(reader, values);
  else if (encoding === 7) checkPrefixes(reader, values);
}

/** Runs after their length, at whose end the next part begins. */
function checkPrefixedRuns(reader: Reader, bits: number, values: number): void {
  const length = reader.view.getUint32(reader.offset, true);
  reader.offset += 4;
  const end = reader.offset + length;
  checkRuns(reader, bits, values);
  reader.offset = end;
}

/** Run lengths and bit packs of parquet's hybrid encoding: the library makes room for them as they say. */
function checkRuns(reader: Reader, bits: number, values: number): void {
  for (let left = values; left > 0;) {
    const header = readVarint(reader);
    const half = Math.floor(header / 2);
    const isPacked = header % 2 === 1; // in groups of 8, of which the last is filled up
    const run = isPacked ? half * 8 : half;
    if (run > left + (isPacked ? 7 : 0)) throw new RangeError(`a run of ${run} values where ${left} are left`);
    reader.offset += isPacked ? half * bits : Math.ceil(bits / 8);
    left -= run;
  }
}

/** Passes over numbers in DELTA_BINARY_PACKED: a block says how many bits each of its parts takes. */
function skipDeltas(reader: Reader, values: number): void {
  const blockSize = readVarint(reader);
  const parts = readVarint(reader);
  const partSize = blockSize / parts;
  if (!Number.isSafeInteger(partSize) || partSize === 0 || partSize % 8 !== 0 || blockSize >= 2 ** 31)
    throw new RangeError(`blocks of ${blockSize} numbers in ${parts} parts`);
  readVarint(reader); // how many there are, which the page says as well
  readVarint(reader); // the first
  for (let left = values - 1; left > 0;) {
    readVarint(reader); // the smallest difference
    const widths = reader.offset;
    reader.offset += parts;
    if (reader.offset > reader.view.byteLength) throw new RangeError("a block that is cut off");
    for (let part = 0; part < parts && left > 0; part++) {
      const bits = reader.view.getUint8(widths + part);
      if (bits > 64) throw new RangeError(`numbers of ${bits} bits`);
      reader.offset += (partSize / 8) * bits;
      left -= partSize;
    }
  }
}

/** Strings that share their beginning with the one before, in DELTA_BYTE_ARRAY. */
function checkPrefixes(reader: Reader, values: number): void {
  const [prefixes, suffixes] = [readDeltas(reader, values), readDeltas(reader, values)];
  let length = 0;
  let total = 0;
  for (const [index, prefix] of prefixes.entries()) {
    if (prefix < 0 || prefix > length)
      throw new RangeError(`a string that begins with ${prefix} bytes of one of ${length}`);
    length = prefix + suffixes[index]!;
    total += length;
    if (total > MAX_PAGE_BYTES) throw new RangeError(`a page of more than ${MAX_PAGE_BYTES} bytes`);
  }
}

function readDeltas(reader: Reader, values: number): Int32Array {
  skipDeltas({ ...reader }, values);
  const numbers = new Int32Array(values);
  deltaBinaryUnpack(reader, values, numbers);
  return numbers;
}

function decompress(page: Uint8Array, size: number, codec: ColumnMetaData["codec"]): Uint8Array {
  if (codec === "UNCOMPRESSED") return page;
  const decompressor = decompressors[codec];
  if (decompressor === undefined) throw new RangeError("an unknown compression");
  return decompressor(page, size);
}

/** Frames of a negative length lead the library in circles; it takes what are no frames for one block. */
function decompressLz4(page: Uint8Array, size: number): Uint8Array {
  const { view } = readerOf(page);
  for (let at = 0; at < page.length - 8;) {
    const frame = view.getInt32(at + 4);
    if (frame < 0) return compressors.LZ4_RAW!(page, size);
    at += 8 + frame;
  }
  return compressors.LZ4!(page, size);
}

function readerOf(bytes: Uint8Array): Reader {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
}

function bitsFor(level: number): number {
  return 32 - Math.clz32(level);
}
