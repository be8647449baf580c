import { InputError } from "@medgpt/artifacts";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { chooseBackend } from "./choose.js";
import * as native from "../run/native.js";

vi.mock(import("../run/native.js"), async (original) => ({
  ...(await original()),
  loadNative: vi.fn((await original()).loadNative),
}));

const ABSENT = { reason: "@medgpt/native is not installed", remedy: "npm install @medgpt/native" };
const isBuilt = !("reason" in native.loadNative());

beforeEach(() => void vi.mocked(native.loadNative).mockReturnValue(ABSENT));
afterEach(() => void vi.mocked(native.loadNative).mockReset());

it("takes js when native is absent and says why", async () => {
  const { backend, reason } = await chooseBackend();
  expect(backend.name).toBe("js");
  expect(reason).toBe("much slower than native, but @medgpt/native is not installed");
});

it("refuses native by name when it is absent, and says how to build it", async () => {
  const refused = await chooseBackend({ backend: "native" }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(InputError);
  expect((refused as Error).message).toMatch(/^--backend: .* not installed; npm install @medgpt\/native/);
});

it("takes js without looking for native when asked to", async () => {
  vi.mocked(native.loadNative).mockClear();
  expect((await chooseBackend({ backend: "js" })).backend.name).toBe("js");
  expect(native.loadNative).not.toHaveBeenCalled();
});

it.skipIf(!isBuilt)("takes native where it is built", async () => {
  vi.mocked(native.loadNative).mockReset();
  const { backend } = await chooseBackend({ threads: 1 });
  expect(backend.name).toBe("native");
  expect(backend.description).toContain("1 thread");
  await backend.dispose();
});
