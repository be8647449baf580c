/** The queue, the buffers and the errors of the js backend. What its kernels compute is tested in kernels.test.ts. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Backend } from "../backend.js";
import type { View } from "../kernels.js";
import { createJsBackend } from "./js-backend.js";

function newView(backend: Backend, size: number): View {
  return { buffer: backend.alloc("f32", size), offset: 0, dtype: "f32" };
}

it("carries out calls in their order and takes the data and views of the moment of the call", async () => {
  const backend = createJsBackend();
  const x = { ...newView(backend, 3) };
  const data = Float32Array.of(1, 2, 3);
  backend.write(x, data);
  data.fill(9);
  backend.kernels.scale({ out: x, x, xStride: 1, scalar: undefined, count: 3, factor: 2 });
  const result = backend.read(x, 3);
  x.buffer = 77;
  expect(await result).toEqual(Float32Array.of(2, 4, 6));
});

it("reads nothing as a number that was never written", async () => {
  const backend = createJsBackend();
  expect(await backend.read(newView(backend, 1), 1)).toEqual(Float32Array.of(NaN));
});

it("reports the first failure with its kernel at the next read, skips what is between, and then works again", async () => {
  const backend = createJsBackend();
  const x = newView(backend, 2);
  backend.kernels.fill({ out: x, count: 2, value: 1 });
  backend.kernels.fill({ out: x, count: 3, value: 2 });
  backend.kernels.fill({ out: x, count: 2, value: 4 });
  const y = newView(backend, 2);
  await expect(backend.read(x, 2)).rejects.toThrow(`fill: buffer ${x.buffer} has 2 elements; 3 at offset 0 do not fit`);
  backend.kernels.copy({ out: y, x, count: 2 });
  expect(await backend.read(y, 2)).toEqual(Float32Array.of(1, 1));
});

it("names a buffer that was freed, and frees it in spite of a failure before", async () => {
  const backend = createJsBackend();
  const x = newView(backend, 2);
  backend.kernels.fill({ out: { ...x, offset: 1 }, count: 2, value: 0 });
  backend.free(x.buffer);
  await expect(backend.sync()).rejects.toThrow("2 at offset 1 do not fit");
  await expect(backend.read(x, 1)).rejects.toThrow(`read: there is no buffer ${x.buffer}`);
  backend.free(x.buffer);
  await expect(backend.sync()).rejects.toThrow(`free: there is no buffer ${x.buffer}`);
  expect(backend.alloc("f32", 1)).not.toBe(x.buffer);
});

it.each([
  ["a dtype that is not the buffer's", { dtype: "i32" as const }, "holds f32, but the view on it says i32"],
  ["a negative offset", { offset: -1 }, "do not fit"],
  ["a fractional offset", { offset: 0.5 }, "do not fit"],
])("refuses a view with %s", async (_, change, message) => {
  const backend = createJsBackend();
  const x = newView(backend, 4);
  await expect(backend.read({ ...x, ...change }, 2)).rejects.toThrow(message);
});

it("refuses what it cannot hold at once", () => {
  const backend = createJsBackend();
  expect(() => backend.alloc("bf16", 1)).toThrow("cannot allocate bf16");
  expect(() => backend.alloc("f32", -1)).toThrow("not -1");
  expect(() => backend.write(newView(backend, 1), Int32Array.of(1))).toThrow("Int32Array does not fit a view of f32");
});

it("abort drops the queued kernels, rejects the pending reads and leaves the buffers in step", async () => {
  const backend = createJsBackend();
  const x = newView(backend, 1);
  backend.kernels.fill({ out: x, count: 1, value: 5 });
  await backend.sync();
  backend.kernels.fill({ out: x, count: 1, value: 6 });
  const y = newView(backend, 1);
  const pending = backend.read(x, 1);
  const failed = expect(pending).rejects.toMatchObject({ name: "AbortError" });
  backend.abort();
  await failed;
  backend.kernels.copy({ out: y, x, count: 1 });
  expect(await backend.read(y, 1)).toEqual(Float32Array.of(5));
});

it("lets the event loop have its turn during a long queue", async () => {
  const backend = createJsBackend();
  const x = newView(backend, 500_000);
  backend.write(x, new Float32Array(500_000));
  for (let i = 0; i < 200; i++)
    backend.kernels.scale({ out: x, x, xStride: 1, scalar: undefined, count: 500_000, factor: 1.5 });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const start = performance.now();
  await backend.sync();
  clearInterval(timer);
  // A slice is 20 ms and the kernel that ends it; half of the turns may come late on a busy machine.
  expect(turns).toBeGreaterThan((performance.now() - start) / 100);
});

it("counts bytes and buffers as they are queued", async () => {
  const backend = createJsBackend();
  const [a, b] = [backend.alloc("f32", 10), backend.alloc("i32", 5)];
  expect(backend.memory()).toEqual({ liveBytes: 60, liveBuffers: 2, peakBytes: 60 });
  backend.free(a);
  expect(backend.memory()).toEqual({ liveBytes: 20, liveBuffers: 1, peakBytes: 60 });
  backend.resetPeak();
  expect(backend.memory().peakBytes).toBe(20);
  backend.free(b);
  await backend.sync();
  const double = createJsBackend({ float64: true });
  double.alloc("f32", 10);
  expect(double.memory().liveBytes).toBe(80);
});

it("keeps doubles where asked", async () => {
  const backend = createJsBackend({ float64: true });
  const x = newView(backend, 2);
  backend.write(x, Float64Array.of(0.1, 1 / 3));
  expect(await backend.read(x, 2)).toEqual(Float64Array.of(0.1, 1 / 3));
  expect(await backend.readBytes(x, 2)).toEqual(new Uint8Array(Float32Array.of(0.1, 1 / 3).buffer));
});

it("maps regions of files read-only, converts halves, and notices a file that is too short or was replaced", async () => {
  const folder = mkdtempSync(join(tmpdir(), "medgpt-map-"));
  try {
    const path = join(folder, "weights.bin");
    writeFileSync(path, Uint8Array.of(0xee, 0x00, 0x3c, 0x00, 0xc0)); // f16 1 and -2 from byte 1 on
    const backend = createJsBackend();
    const view = (dtype: View["dtype"], size: number): View => ({
      buffer: backend.map(path, 1, dtype, size),
      offset: 0,
      dtype,
    });
    const x = view("f16", 2);
    expect(await backend.read(x, 2)).toEqual(Float32Array.of(1, -2));
    expect(await backend.readBytes({ ...x, offset: 1 }, 1)).toEqual(Uint8Array.of(0x00, 0xc0));
    backend.kernels.fill({ out: x, count: 1, value: 0 });
    await expect(backend.sync()).rejects.toThrow("is a mapped file and cannot be written");
    expect(backend.memory()).toMatchObject({ liveBytes: 0, liveBuffers: 1 });

    view("f32", 2);
    await expect(backend.sync()).rejects.toThrow(`${path} has 5 bytes; mapping 2 f32 at 1 needs 9`);

    const later = view("f16", 2);
    await backend.sync();
    writeFileSync(path, new Uint8Array(6));
    await expect(backend.read(later, 1)).rejects.toThrow(`${path} was replaced`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("names an argument that is missing at once", () => {
  const backend = createJsBackend();
  const args = { out: newView(backend, 1), count: 1 } as Parameters<Backend["kernels"]["fill"]>[0];
  expect(() => backend.kernels.fill(args)).toThrow("fill: the argument value is missing");
});

it("refuses work after dispose and rejects what was pending", async () => {
  const backend = createJsBackend();
  const pending = expect(backend.sync()).rejects.toMatchObject({ name: "AbortError" });
  await backend.dispose();
  await pending;
  expect(() => backend.alloc("f32", 1)).toThrow("disposed");
  await expect(backend.sync()).rejects.toThrow("disposed");
});
