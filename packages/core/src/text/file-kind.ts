/** What a file is that is read as text and is none: known by its first bytes, so that nobody has to guess from odd characters. */
import { InputError } from "@medgpt/artifacts";

/** How files begin (as latin1), what they are, and what to do; FILE stands for the file. */
/* eslint-disable no-control-regex -- these are what tells such files from text */
const BEGINNINGS: readonly (readonly [begin: RegExp, what: string, remedy: string])[] = [
  [/^\x1f\x8b/, "a gzip archive", "unpack it first: gunzip -c FILE > NEW"],
  [/^BZh[1-9]1AY&SY/, "a bzip2 archive", "unpack it first: bunzip2 -c FILE > NEW"],
  [/^\xfd7zXZ/, "an xz archive", "unpack it first: unxz -c FILE > NEW"],
  [/^\x28\xb5\x2f\xfd/, "a zstd archive", "unpack it first: unzstd -c FILE > NEW"],
  [/^7z\xbc\xaf/, "a 7z archive", "unpack it first"],
  [/^PK\x03\x04/, "a zip archive or an Excel workbook", "unpack it, or save the sheet as CSV in UTF-8"],
  [/^\xd0\xcf\x11\xe0/, "an old Excel or Word file", "save it as CSV in UTF-8"],
  [/^%PDF-\d/, "a PDF", "save its text first: pdftotext FILE NEW"],
  [/^PAR1[\0-\x1f]/, "a parquet file", "give it a name that ends in .parquet"],
  [/^ARROW1\0/, "an Arrow file", "save it as parquet or JSON lines"],
];
/* eslint-enable no-control-regex */

/** Enough to tell the encoding by. */
const SAMPLE_BYTES = 4096;

/**
 * @param head the first bytes of the file
 * @throws InputError where they are those of something else than UTF-8 text, saying what it is and what to do
 */
export function checkIsText(head: Uint8Array, file: string): void {
  const sample = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, SAMPLE_BYTES));
  const begin = sample.toString("latin1", 0, 16);
  const found = BEGINNINGS.find(([known]) => known.test(begin));
  const [what, remedy] = (found?.slice(1) as [string, string] | undefined) ?? unmarked(sample) ?? [];
  if (what === undefined || remedy === undefined) return;
  throw new InputError(`expected text in UTF-8, but this is ${what}; ${remedy.replace("FILE", file)}`, { place: file });
}

/** UTF-16 without a mark: every other byte of what is Latin in it is zero. */
function unmarked(sample: Uint8Array): readonly [what: string, remedy: string] | undefined {
  if (isMarked(sample)) return undefined; // said with the place of the mark
  const zeros: [even: number, odd: number] = [0, 0];
  for (const [at, byte] of sample.entries()) if (byte === 0) zeros[at % 2 === 0 ? 0 : 1]++;
  const most = Math.max(...zeros);
  if (most < 4 || most * 16 < sample.length || Math.min(...zeros) * 8 > most) return undefined;
  const name = zeros[1] > zeros[0] ? "utf-16le" : "utf-16be";
  return ["text in UTF-16", `make it UTF-8: iconv -f ${name} -t utf-8 FILE > NEW`];
}

function isMarked([first, second]: Uint8Array): boolean {
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
}

/** The encoding that bytes which are no UTF-8 are in, where they speak for one that spreadsheets have. */
export function guessEncoding(bytes: Uint8Array): string | undefined {
  if (isMarked(bytes)) return "utf-16";
  try {
    const text = new TextDecoder("gbk", { fatal: true }).decode(bytes);
    return /\p{Script=Han}{2}/u.test(text) ? "gbk" : undefined;
  } catch {
    return undefined; // other bytes, or a Node.js without this encoding
  }
}
