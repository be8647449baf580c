/**
 * Gives every TypeScript package of the workspace the same Nx targets, so that no package.json repeats them. What they read
 * and write, and that results are cached, stands in nx.json.
 */
import { dirname } from "node:path";

/** @type {import("@nx/devkit").CreateNodesV2} */
export const createNodesV2 = [
  "packages/*/tsconfig.json",
  (files) =>
    files.map((file) => {
      const root = dirname(file);
      const command = (line) => ({ executor: "nx:run-commands", options: { command: line, cwd: "{workspaceRoot}" } });
      const targets = {
        build: command(`tsc -b ${root}`),
        typecheck: command(`tsc --noEmit -p ${root}`),
        lint: command(`eslint --max-warnings 0 ${root}`),
        test: command(`vitest run --passWithNoTests ${root}`),
      };
      return [file, { projects: { [root]: { root, targets } } }];
    }),
];
