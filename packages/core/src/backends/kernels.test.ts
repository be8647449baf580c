/** Every kernel on every backend that is here, against the js kernels in double precision. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DType } from "../numeric/dtype.js";
import { expectClose } from "../testing/all-close.js";
import { backendVariants } from "../testing/each-backend.js";
import {
  EXACT,
  expectedOf,
  f32ToF16,
  KERNEL_CASES,
  roundTo,
  type CaseBuffer,
  type KernelCase,
} from "../testing/kernel-cases/index.js";
import type { Backend } from "./backend.js";
import { f32ToBf16 } from "../numeric/half.js";
import { KERNELS, type KernelArgs, type KernelName, type View } from "./kernels.js";

type Outputs = Record<string, Awaited<ReturnType<Backend["read"]>>>;

const NAMES = Object.keys(KERNELS) as KernelName[];

/** What surrounds every buffer, so that a write past its ends shows; both 16-bit formats hold it. */
const GUARD = 1024;

const folder = mkdtempSync(join(tmpdir(), "medgpt-kernels-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Cases are generated once; they are the same for every backend. */
const casesOf = new Map(NAMES.map((name) => [name, KERNEL_CASES[name]() as readonly KernelCase[]]));
const expectations = new Map<KernelCase, Record<string, Float64Array>>();

function expectation(kernel: KernelName, test: KernelCase): Record<string, Float64Array> {
  const known = expectations.get(test);
  if (known !== undefined) return known;
  const computed = expectedOf(kernel, test, Object.keys(test.outputs));
  expectations.set(test, computed);
  return computed;
}

const TO_16_BITS: { readonly [D in DType]?: (value: number) => number } = { bf16: f32ToBf16, f16: f32ToF16 };

/** The data as a file or a 16-bit buffer holds it, made once for all backends. */
const encoded = new Map<CaseBuffer, Uint16Array | Float32Array | Int32Array>();

function encode(buffer: CaseBuffer): Uint16Array | Float32Array | Int32Array {
  const known = encoded.get(buffer);
  if (known !== undefined) return known;
  const to16Bits = TO_16_BITS[buffer.dtype];
  const made = to16Bits === undefined ? buffer.data : Uint16Array.from(buffer.data, to16Bits);
  encoded.set(buffer, made);
  return made;
}

/** Files of mapped buffers, written once for all backends. */
const paths = new Map<CaseBuffer, string>();

function mapBuffer(backend: Backend, buffer: CaseBuffer): View {
  const path = paths.get(buffer) ?? join(folder, `${paths.size}.bin`);
  if (!paths.has(buffer)) {
    const { buffer: bytes, byteOffset, byteLength } = encode(buffer);
    writeFileSync(path, Buffer.concat([Buffer.from("xyz"), Buffer.from(bytes, byteOffset, byteLength)]));
    paths.set(buffer, path);
  }
  return { buffer: backend.map(path, 3, buffer.dtype, buffer.data.length), offset: 0, dtype: buffer.dtype };
}

function allocBuffer(backend: Backend, given: CaseBuffer, padding: number): View {
  const { dtype } = given;
  const data = encode(given);
  const guard = TO_16_BITS[dtype]?.(GUARD) ?? GUARD;
  const padded = new (data.constructor as Float32ArrayConstructor)(data.length + 2 * padding).fill(guard);
  padded.set(data, padding);
  const buffer = backend.alloc(dtype, padded.length);
  backend.write({ buffer, offset: 0, dtype }, padded);
  return { buffer, offset: padding, dtype };
}

/** Runs one case with every buffer at element offset `padding`; gives the outputs, what surrounds them included. */
async function runCase(backend: Backend, kernel: KernelName, test: KernelCase, padding: number): Promise<Outputs> {
  const views: Record<string, View> = {};
  for (const [name, buffer] of Object.entries(test.buffers)) {
    views[name] = buffer.mapped ? mapBuffer(backend, buffer) : allocBuffer(backend, buffer, padding);
  }
  const enqueue = backend.kernels[kernel] as (args: KernelArgs<KernelName>) => void;
  enqueue(test.args((name, offset = 0) => ({ ...views[name]!, offset: views[name]!.offset + offset })));
  const outputs: Outputs = {};
  try {
    for (const name of Object.keys(test.outputs)) {
      outputs[name] = await backend.read({ ...views[name]!, offset: 0 }, test.buffers[name]!.data.length + 2 * padding);
    }
  } finally {
    for (const { buffer } of Object.values(views)) backend.free(buffer);
  }
  return outputs;
}

function checkOutputs(kernel: KernelName, test: KernelCase, actual: Outputs, padding: number): void {
  for (const [name, exact] of Object.entries(expectation(kernel, test))) {
    const all = actual[name]!;
    const end = all.length - padding;
    if ([...all.slice(0, padding), ...all.slice(end)].some((value) => value !== GUARD)) {
      throw new Error(`wrote beyond the ends of ${name}`);
    }
    const inside = all.slice(padding, end);
    const tolerance = test.outputs[name]!;
    const wanted = Float64Array.from(exact, (value) =>
      tolerance === EXACT ? roundTo(test.buffers[name]!.dtype, value) : value,
    );
    for (const index of test.open ?? []) inside[index] = wanted[index]!;
    try {
      expectClose(inside, wanted, tolerance);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
    }
  }
}

function expectSameBits(actual: Outputs, before: Outputs, when: string): void {
  for (const [name, values] of Object.entries(actual)) {
    const other = before[name]!;
    for (let i = 0; i < values.length; i++) {
      if (!Object.is(values[i], other[i])) throw new Error(`${name}[${i}] is ${values[i]} and was ${other[i]} ${when}`);
    }
  }
}

/** Dtypes of the case's buffers that are not among those computed on; mapped files may hold any. */
function lacks({ dtypes }: { readonly dtypes: readonly DType[] }, test: KernelCase): DType[] {
  const owned = Object.values(test.buffers).filter(({ mapped }) => !mapped);
  return [...new Set(owned.map(({ dtype }) => dtype))].filter((dtype) => !dtypes.includes(dtype));
}

it("every kernel of the table has cases", () => {
  expect(Object.keys(KERNEL_CASES).sort()).toEqual([...NAMES].sort());
  for (const [name, cases] of casesOf) {
    expect(cases.length, name).toBeGreaterThan(5);
    expect(new Set(cases.map((test) => test.name)).size, `two cases of ${name} have one name`).toBe(cases.length);
  }
});

const variants = backendVariants();

/** Results by group and case of the backends that must agree bit for bit: the same code on other thread counts. */
const firstResults = new Map<string, { name: string; outputs: Outputs }>();

describe.each(variants)("$name", ({ name, group, dtypes, create }) => {
  let backend: Backend;
  const skipped = new Map<string, number>();
  let ran = 0;

  beforeAll(async () => {
    backend = await create();
  });

  it.each(NAMES)("%s agrees with the oracle, twice the same, and stays inside its buffers", async (kernel) => {
    const failures: string[] = [];
    for (const test of casesOf.get(kernel)!) {
      const missing = backend.missing.includes(kernel) ? [kernel] : lacks(backend, test);
      if (missing.length > 0) {
        const reason = `${kernel} without ${missing.join(", ")}`;
        skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
        continue;
      }
      try {
        const outputs = await runCase(backend, kernel, test, 0);
        checkOutputs(kernel, test, outputs, 0);
        expectSameBits(await runCase(backend, kernel, test, 0), outputs, "the first time");
        checkOutputs(kernel, test, await runCase(backend, kernel, test, 5), 5);
        const key = `${group} ${kernel} ${test.name}`;
        const first = firstResults.get(key);
        if (first === undefined) firstResults.set(key, { name, outputs });
        else expectSameBits(outputs, first.outputs, `on ${first.name}`);
        ran++;
      } catch (error) {
        failures.push(`${test.name}: ${(error as Error).message}`);
      }
    }
    const shown = failures.slice(0, 8).join("\n");
    expect(failures.length, `${failures.length} of ${casesOf.get(kernel)!.length} cases fail:\n${shown}`).toBe(0);
  });

  it("ran every case of its dtypes", () => {
    const due = [...casesOf.values()].flat().filter((test) => lacks({ dtypes }, test).length === 0);
    expect(due.length).toBeGreaterThan(0);
    expect(ran, [...skipped.keys()].join("; ")).toBe(due.length);
  });

  it("leaves nothing allocated", async () => {
    await backend.sync();
    expect(backend.memory()).toMatchObject({ liveBytes: 0, liveBuffers: 0 });
  });

  afterAll(async () => {
    const total = [...skipped.values()].reduce((sum, count) => sum + count, 0);
    const reasons = [...skipped].map(([reason, count]) => `${count} of ${reason}`).join("; ");
    console.info(
      `${name} (${backend.description}): ${ran} kernel cases ran, ${total} skipped${total > 0 ? `: ${reasons}` : ""}`,
    );
    await backend.dispose();
  });
});
