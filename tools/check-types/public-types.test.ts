/** What packages declare must compile in a project that has no types of Node.js: nothing says that users install them. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");

/** The declarations that the exports of a package lead to. */
function entryPoints(dir: string): string[] {
  const { exports } = JSON.parse(readFileSync(join(dir, "package.json"), "utf8")) as {
    exports: Record<string, { types: string }>;
  };
  return Object.values(exports).flatMap(({ types }) => {
    const [before, after] = types.split("*") as [string, string?];
    if (after === undefined) return [join(dir, types)];
    return readdirSync(join(dir, before))
      .map((name) => join(dir, `${before}${name}${after}`))
      .filter((file) => existsSync(file));
  });
}

describe("the declarations of the packages", () => {
  const entries = readdirSync(join(root, "packages")).flatMap((name) => entryPoints(join(root, "packages", name)));

  it("compile strictly without the types of Node.js", () => {
    expect(entries.length).toBeGreaterThan(10);
    const program = ts.createProgram(entries, {
      module: ts.ModuleKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      strict: true,
      noEmit: true,
      types: [],
    });
    const ours = program
      .getSourceFiles()
      .filter(({ fileName }) => fileName.startsWith(join(root, "packages")) && !fileName.includes("node_modules"));
    const problems = ours.flatMap((file) => program.getSemanticDiagnostics(file));
    const lines = problems.map(({ file, start, messageText }) => {
      const { line = 0 } = file === undefined ? {} : file.getLineAndCharacterOfPosition(start ?? 0);
      return `${relative(root, file?.fileName ?? "")}:${line + 1} ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
    });
    expect(lines).toEqual([]);
  });
});
