import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, it, vi } from "vitest";

const dir = mkdtempSync(join(tmpdir(), "medgpt-native-"));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("says how to build the library where its package has none for this machine", async () => {
  const installed = join(dir, "node_modules/@medgpt/native");
  for (const name of ["index.js", "package.json", "build.mjs"])
    cpSync(resolve(import.meta.dirname, "../../../native", name), join(installed, name), { recursive: true });
  vi.resetModules();
  vi.doMock("node:module", () => ({
    createRequire: () => createRequire(pathToFileURL(join(dir, "index.js"))),
  }));
  const { createRequire } = await vi.importActual<typeof import("node:module")>("node:module");
  const fresh = (await import("./native.js")).loadNative();
  expect(fresh).toMatchObject({
    reason: expect.stringContaining(`no library for ${process.platform}-${process.arch}`),
    remedy: expect.stringContaining(`run: node ${join(installed, "build.mjs")}`),
  });
});
