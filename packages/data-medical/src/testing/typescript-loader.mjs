// Finds x.ts where x.js is imported, the packages of the workspace in their sources, and takes the types out. What was
// made of a file is kept for the next thread, because the compiler takes seconds to start.
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const cache = new URL("../../../../node_modules/.cache/medgpt-typescript/", import.meta.url);

export async function resolve(specifier, context, next) {
  const conditions = ["@medgpt/source", ...context.conditions];
  if (specifier.startsWith(".") && context.parentURL?.endsWith(".ts")) specifier = specifier.replace(/\.js$/, ".ts");
  return next(specifier, { ...context, conditions });
}

export async function load(url, context, next) {
  if (!url.endsWith(".ts")) return next(url, context);
  const text = await readFile(fileURLToPath(url), "utf8");
  const kept = new URL(`${createHash("sha256").update(`${url}\n${text}`).digest("hex")}.mjs`, cache);
  const source = await readFile(kept, "utf8").catch(() => transpile(url, text, kept));
  return { format: "module", source, shortCircuit: true };
}

async function transpile(url, text, kept) {
  const { default: ts } = await import("typescript");
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };
  const { outputText } = ts.transpileModule(text, { fileName: fileURLToPath(url), compilerOptions });
  await mkdir(cache, { recursive: true });
  const aside = new URL(`${kept.href}.${process.pid}.${performance.now()}`); // other threads may write the same
  await writeFile(aside, outputText);
  await rename(aside, kept);
  return outputText;
}
