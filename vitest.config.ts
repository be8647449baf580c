import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

// Packages import each other by name; this condition makes the name lead to TypeScript sources, as in tsconfig.base.json.
const conditions = ["@medgpt/source", "node", "import", "module", "default"];

// `npm run test:full` runs the second tier: minutes instead of seconds.
const full = process.env["MEDGPT_TEST_TIER"] === "full";

/** Test files that take longest, the longest first; `npm test` names the ten slowest. */
const LONG = [
  ...["pretrain/src/recipe.e2e", "e2e/hostile-input.e2e", "core/src/training/event-loop", "e2e/two-runs.e2e"],
  ...[
    "core/src/backends/kernels",
    "pretrain/src/streaming.e2e",
    "core/src/chat/one-rendering",
    "core/src/models/merge",
  ],
];

/** Long files first: vitest knows durations of earlier runs alone, and a long file begun last keeps one of two workers waiting. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`${name}.test.ts`));
      return at === -1 ? LONG.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: full
      ? ["packages/*/src/**/*.full.test.ts", "tools/**/*.full.test.ts"]
      : ["packages/*/src/**/*.test.ts", "tools/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/target/**", ...(full ? [] : ["**/*.full.test.ts"])],
    // Native modules keep threads and process-wide state: one process a file, and no more of them than a CI machine has cores.
    pool: "forks",
    maxWorkers: 2,
    sequence: { sequencer: LongFirst },
    testTimeout: full ? 900_000 : 60_000,
    hookTimeout: full ? 900_000 : 60_000,
    passWithNoTests: full,
  },
});
