import { defineConfig } from "vitest/config";

// Packages import each other by name; this condition makes the name lead to TypeScript sources, as in tsconfig.base.json.
const conditions = ["@medgpt/source", "node", "import", "module", "default"];

// `npm run test:full` runs the second tier: minutes instead of seconds.
const full = process.env["MEDGPT_TEST_TIER"] === "full";

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
    testTimeout: full ? 900_000 : 60_000,
    hookTimeout: full ? 900_000 : 60_000,
    passWithNoTests: full,
  },
});
