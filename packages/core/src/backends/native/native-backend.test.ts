import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DType } from "../../numeric/dtype.js";
import type { Backend } from "../backend.js";
import { KERNELS, type View } from "../kernels.js";
import { loadNative } from "../../run/native.js";
import { checkKernelTable, createNativeBackend } from "./native-backend.js";

const loaded = loadNative();
if ("reason" in loaded && process.env["CI"] === "true") throw new Error(loaded.reason);

describe.skipIf("reason" in loaded)("native backend", () => {
  const folder = mkdtempSync(join(tmpdir(), "medgpt-native-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  let backend: Backend;
  beforeEach(() => {
    backend = createNativeBackend();
  });
  afterEach(() => backend.dispose());

  function make(dtype: DType, size: number): View {
    return { buffer: backend.alloc(dtype, size), offset: 0, dtype };
  }
  function filled(size: number, value: number): View {
    const view = make("f32", size);
    backend.kernels.fill({ out: view, count: size, value });
    return view;
  }
  function matMul(out: View, a: View, b: View, size: number): void {
    const term = { a, lda: size, aTrans: false, b, ldb: size, bTrans: true, k: size, scale: 1 };
    backend.kernels.matMul({
      out,
      ldc: size,
      m: size,
      n: size,
      bias: undefined,
      accumulate: 0,
      compute: 0,
      terms: [term],
    });
  }

  it("says what it runs on and refuses an instruction set the CPU lacks", () => {
    expect(createNativeBackend({ threads: 1, isa: "portable" }).description).toBe("portable kernels, 1 thread");
    expect(() => createNativeBackend({ isa: "altivec" })).toThrow(
      /unknown instruction set altivec; this CPU has portable/,
    );
    expect(() => createNativeBackend({ threads: 0 })).toThrow("threads must be at least 1");
  });

  it("gives back what was written, in every dtype", async () => {
    const f32 = make("f32", 4);
    backend.write(f32, Float32Array.of(1.5, -2, 3, NaN));
    backend.write({ ...f32, offset: 1 }, Float64Array.of(0.25));
    expect(await backend.read(f32, 4)).toEqual(Float32Array.of(1.5, 0.25, 3, NaN));
    expect(await backend.read({ ...f32, offset: 2 }, 1)).toEqual(Float32Array.of(3));

    const bf16 = make("bf16", 3);
    backend.write(bf16, Uint16Array.of(0x3f80, 0xc000, 0x7f80));
    expect(await backend.read(bf16, 3)).toEqual(Float32Array.of(1, -2, Infinity));
    expect(await backend.readBytes(bf16, 1)).toEqual(Uint8Array.of(0x80, 0x3f));

    const f16 = make("f16", 2);
    backend.write(f16, Uint16Array.of(0x3c00, 0x0001));
    expect(await backend.read(f16, 2)).toEqual(Float32Array.of(1, 2 ** -24));

    const i32 = make("i32", 2);
    backend.write(i32, Int32Array.of(-7, 2 ** 31 - 1));
    expect(await backend.read(i32, 2)).toEqual(Int32Array.of(-7, 2 ** 31 - 1));

    const u8 = make("u8", 3);
    backend.write(u8, Uint8Array.of(0, 128, 255));
    expect(await backend.read(u8, 3)).toEqual(Uint8Array.of(0, 128, 255));
    expect(await backend.read(u8, 0)).toEqual(new Uint8Array(0));
  });

  it("takes the data at once, so that the caller may change it", async () => {
    const view = make("f32", 2);
    const data = Float32Array.of(1, 2);
    backend.write(view, data);
    data.fill(9);
    expect(await backend.read(view, 2)).toEqual(Float32Array.of(1, 2));
  });

  it("refuses an array of the wrong kind", () => {
    expect(() => backend.write(make("i32", 1), Float32Array.of(1))).toThrow("Float32Array does not fit a view of i32");
  });

  it("reads weights from an unaligned place in a file", async () => {
    const path = join(folder, "weights.bin");
    writeFileSync(path, Buffer.concat([Buffer.from("abc"), Buffer.from(Float32Array.of(1, 2, 3).buffer)]));
    const mapped: View = { buffer: backend.map(path, 3, "f32", 3), offset: 0, dtype: "f32" };
    expect(await backend.read(mapped, 3)).toEqual(Float32Array.of(1, 2, 3));
    const out = make("f32", 2);
    backend.kernels.scale({ out, x: { ...mapped, offset: 1 }, xStride: 1, scalar: undefined, count: 2, factor: 10 });
    expect(await backend.read(out, 2)).toEqual(Float32Array.of(20, 30));

    backend.kernels.fill({ out: mapped, count: 3, value: 0 });
    await expect(backend.sync()).rejects.toThrow("fill: out is a mapped file, which is read-only");
    backend.write(mapped, Float32Array.of(1));
    await expect(backend.sync()).rejects.toThrow("write: the target is a mapped file, which is read-only");
    expect(await backend.read(mapped, 3)).toEqual(Float32Array.of(1, 2, 3));
  });

  it("refuses a mapping past the end of the file, or of no file", async () => {
    const path = join(folder, "short.bin");
    writeFileSync(path, Buffer.alloc(16));
    const short = backend.map(path, 4, "f32", 4);
    await expect(backend.sync()).rejects.toThrow(
      `map: ${path}: 4 elements of f32 from byte 4 on reach past the end of the file (16 bytes)`,
    );
    const absent = backend.map(join(folder, "absent.bin"), 0, "f32", 1);
    await expect(backend.sync()).rejects.toThrow(/map: .*absent\.bin: No such file/);
    backend.free(short);
    backend.free(absent);
    await backend.sync();
  });

  it("names the kernel that failed, skips what follows and then works again", async () => {
    const table = filled(8, 1);
    const ids = make("i32", 1);
    backend.write(ids, Int32Array.of(4));
    const out = filled(2, 5);
    backend.kernels.embedding({ out, table, ids, rows: 1, cols: 2, vocab: 4, factor: 1 });
    backend.kernels.fill({ out, count: 2, value: 7 });
    await expect(backend.read(out, 2)).rejects.toThrow("embedding: id 4 at row 0 is outside the vocabulary of 4");
    expect(await backend.read(out, 2)).toEqual(Float32Array.of(5, 5));
    backend.kernels.fill({ out, count: 2, value: 7 });
    expect(await backend.read(out, 2)).toEqual(Float32Array.of(7, 7));
  });

  it("carries out allocations and frees behind a failure", async () => {
    const small = make("f32", 1);
    backend.kernels.fill({ out: small, count: 2, value: 0 });
    const later = make("f32", 2);
    backend.free(small.buffer);
    await expect(backend.sync()).rejects.toThrow("fill: out needs 2 elements, its buffer has 1");
    backend.kernels.fill({ out: later, count: 2, value: 3 });
    expect(await backend.read(later, 2)).toEqual(Float32Array.of(3, 3));
    backend.free(small.buffer);
    await expect(backend.sync()).rejects.toThrow(`free: buffer ${small.buffer}, which is not alive`);
  });

  it("reports use after free and views out of bounds", async () => {
    const a = filled(4, 1);
    const b = filled(4, 1);
    backend.free(b.buffer);
    backend.kernels.add({ out: a, a, b, count: 4, alpha: 1, beta: 1 });
    await expect(backend.sync()).rejects.toThrow(`add: b is buffer ${b.buffer}, which is not alive`);
    backend.kernels.add({ out: a, a, b: { ...a, offset: 2 }, count: 4, alpha: 1, beta: 1 });
    await expect(backend.sync()).rejects.toThrow("add: b needs 4 elements, its buffer has 2 from the offset on");
    backend.kernels.fill({ out: { ...a, offset: 5 }, count: 0, value: 0 });
    await expect(backend.sync()).rejects.toThrow("fill: out starts at element 5 of buffer");
    await expect(backend.read(a, 5)).rejects.toThrow("read: the source needs 5 elements");
    expect(await backend.read(a, 4)).toEqual(Float32Array.of(1, 1, 1, 1));
  });

  it("reports memory that is not there and lives on", async () => {
    const huge = make("f32", 2 ** 50);
    await expect(backend.sync()).rejects.toThrow("alloc: out of memory");
    backend.kernels.fill({ out: huge, count: 1, value: 0 });
    await expect(backend.sync()).rejects.toThrow("fill: out is buffer");
    backend.free(huge.buffer);
    expect(await backend.read(filled(2, 4), 2)).toEqual(Float32Array.of(4, 4));
  });

  it("counts live and peak bytes as queued", () => {
    const a = make("f32", 100);
    const b = make("bf16", 100);
    backend.free(a.buffer);
    expect(backend.memory()).toEqual({ liveBytes: 200, liveBuffers: 1, peakBytes: 600 });
    backend.resetPeak();
    backend.free(b.buffer);
    expect(backend.memory()).toEqual({ liveBytes: 0, liveBuffers: 0, peakBytes: 200 });
  });

  it("stops a long product on abort, within a second, and is right afterwards", async () => {
    const size = 2048;
    const [a, b, out] = [filled(size * size, 1), filled(size * size, 2), make("f32", size * size)];
    await backend.sync();
    for (let i = 0; i < 200; i++) matMul(out, a, b, size);
    const marker = filled(1, 42);
    const pending = backend.read(marker, 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const start = performance.now();
    backend.abort();
    await expect(pending).rejects.toMatchObject({ name: "AbortError" });
    await backend.sync();
    expect(performance.now() - start).toBeLessThan(1000);
    matMul(out, a, b, 64);
    expect(await backend.read(out, 1)).toEqual(Float32Array.of(128));
    // The marker's allocation outlived the abort, its fill did not.
    backend.kernels.fill({ out: marker, count: 1, value: 1 });
    expect(await backend.read(marker, 1)).toEqual(Float32Array.of(1));
  });

  it("leaves the event loop free while it works", async () => {
    const size = 768;
    const [a, b, out] = [filled(size * size, 1), filled(size * size, 2), make("f32", size * size)];
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const start = performance.now();
    while (performance.now() - start < 500) {
      for (let i = 0; i < 20; i++) matMul(out, a, b, size);
      await backend.sync();
    }
    delay.disable();
    // The half of all samples, so that a busy machine does not decide.
    expect(delay.percentile(50) / 1e6).toBeLessThan(50);
    expect(await backend.read(out, 1)).toEqual(Float32Array.of(2 * size));
  });

  it("makes recorded calls again, on what the buffers then hold", async () => {
    const [before, values] = [filled(2, 10), make("f32", 2)];
    const gone = filled(1, 0);
    backend.write(values, Float32Array.of(1, 2));
    const { result, replay } = backend.record!(() => {
      const [twice, out] = [make("f32", 2), make("f32", 2)];
      backend.kernels.add({ out: twice, a: values, b: values, count: 2, alpha: 1, beta: 1 });
      backend.kernels.add({ out, a: twice, b: before, count: 2, alpha: 1, beta: 1 });
      backend.free(twice.buffer);
      backend.free(gone.buffer);
      return out;
    });
    expect(await backend.read(result, 2)).toEqual(Float32Array.of(12, 14));
    const memory = backend.memory();
    backend.write(values, Float32Array.of(5, 6));
    backend.kernels.fill({ out: before, count: 2, value: 20 });
    replay();
    replay();
    expect(await backend.read(result, 2)).toEqual(Float32Array.of(30, 32));
    expect(backend.memory()).toEqual(memory);
    backend.free(result.buffer);
    replay();
    await expect(backend.sync()).rejects.toThrow(`add: out is buffer ${result.buffer}, which is not alive`);
  });

  it("records no values: a write among recorded calls is an error", () => {
    const x = make("f32", 1);
    expect(() => backend.record!(() => backend.write(x, Float32Array.of(1)))).toThrow("what is recorded may not write");
    backend.write(x, Float32Array.of(1));
  });

  it("refuses calls that are cut short", () => {
    if ("reason" in loaded) throw new Error(loaded.reason);
    const engine = new loaded.native.Engine(1);
    for (const calls of [[0, 1, 0], [1], [2, 3, 0, 0], [7, 1]])
      expect(() => engine.replay(Float64Array.from(calls))).toThrow(/calls end within one of kind/);
  });

  it("rejects what is pending when it is disposed of, and refuses more", async () => {
    const out = make("f32", 1);
    await backend.dispose();
    await backend.dispose();
    await expect(backend.read(out, 1)).rejects.toThrow("disposed");
    expect(() => backend.alloc("f32", 1)).toThrow("disposed");
  });

  it("passes a product of more terms than its first buffer holds", async () => {
    const [a, b, out] = [filled(1, 2), filled(1, 3), make("f32", 1)];
    const term = { a, lda: 1, aTrans: false, b, ldb: 1, bTrans: true, k: 1, scale: 0.5 };
    const terms = Array.from({ length: 500 }, () => term);
    backend.kernels.matMul({ out, ldc: 1, m: 1, n: 1, bias: undefined, accumulate: 0, compute: 0, terms });
    expect(await backend.read(out, 1)).toEqual(Float32Array.of(1500));
  });

  it("names an argument that is missing", () => {
    const args = { count: 1, value: 0 } as Parameters<typeof backend.kernels.fill>[0];
    expect(() => backend.kernels.fill(args)).toThrow("fill: the argument out is missing");
  });

  it("refuses a library built from other kernels", () => {
    if ("reason" in loaded) throw new Error(loaded.reason);
    const table = new loaded.native.Engine(1).kernelTable();
    expect(table.length).toBe(Object.keys(KERNELS).length);
    checkKernelTable(table);
    const renamed = table.map((line) => line.replace("ldc", "stride"));
    expect(() => checkKernelTable(renamed)).toThrow(/they differ at matMul.*build it again/);
    expect(() => checkKernelTable(table.slice(0, -1))).toThrow("adamW");
    expect(() => checkKernelTable([...table, "extra:out view"])).toThrow("extra");
  });
});
