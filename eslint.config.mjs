import js from "@eslint/js";
import nx from "@nx/eslint-plugin";
import { defineConfig, globalIgnores } from "eslint/config";
import { createTypeScriptImportResolver } from "eslint-import-resolver-typescript";
import importX from "eslint-plugin-import-x";
import tseslint from "typescript-eslint";

/** A package of layer `source` may depend on packages of layers `targets`; TensorFlow.js is core's business alone. */
const may = (source, ...targets) => ({
  sourceTag: `layer:${source}`,
  onlyDependOnLibsWithTags: targets.map((target) => `layer:${target}`),
  ...(source === "engine" ? {} : { bannedExternalImports: ["@tensorflow/*"] }),
});

/**
 * The folders of core, from the ground up: each imports from those before it alone. What stands before `backends` knows
 * nothing of tensors.
 */
const FLOORS = [
  ...["numeric", "text", "run", "json", "config", "tokenizer", "data", "checkpoint", "chat", "hub"],
  ...["backends", "tensor", "ops", "nn", "optim", "models", "generation", "training", "stage", "doctor"],
];

const floors = FLOORS.map((floor, index) => ({
  target: `packages/core/src/${floor}/!(*.test).ts`,
  from: "packages/core/src",
  except: FLOORS.slice(0, index + 1),
  message: `${floor} stands below it: see FLOORS in eslint.config.mjs.`,
}));

const TENSORFLOW = "TensorFlow.js is reached through a backend of @medgpt/core.";

export default defineConfig(
  globalIgnores(["**/dist/", "**/target/", "**/node_modules/", ".nx/", ".cache/"]),
  js.configs.recommended,
  {
    files: ["**/*.ts", "**/*.mts"],
    extends: [tseslint.configs.strict],
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { disallowTypeAnnotations: false }],
      // noUncheckedIndexedAccess makes `array[i]!` the plain way to say that a loop's index is in range.
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-dynamic-delete": "off",
      "@typescript-eslint/no-invalid-void-type": "off",
      // tsc reports these, by the same rules.
      "@typescript-eslint/no-unused-vars": "off",
    },
  },
  {
    files: ["packages/*/src/**/*.ts"],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-unnecessary-type-assertion": "error",
      "@typescript-eslint/only-throw-error": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ["packages/**/*.{ts,mts,js,mjs}"],
    plugins: { "@nx": nx },
    rules: {
      "@nx/enforce-module-boundaries": [
        "error",
        {
          banTransitiveDependencies: true,
          depConstraints: [
            may("contract"),
            may("native"),
            may("engine", "contract", "native"),
            may("stage", "contract", "engine"),
            may("app", "contract", "engine", "stage"),
          ],
        },
      ],
    },
  },
  {
    files: ["packages/*/src/**/*.ts"],
    plugins: { "import-x": importX },
    settings: {
      // Without these it reads no file but .js, and finds no circle.
      "import-x/extensions": [".ts"],
      "import-x/parsers": { "@typescript-eslint/parser": [".ts"] },
      "import-x/resolver-next": [
        createTypeScriptImportResolver({ project: "packages/*/tsconfig.json", noWarnOnMultipleProjects: true }),
      ],
    },
    rules: {
      "import-x/no-cycle": "error",
      "import-x/no-restricted-paths": ["error", { zones: floors }],
    },
  },
  {
    files: ["packages/*/src/**/*.ts"],
    ignores: ["**/*.test.ts"],
    rules: { "max-lines": ["error", 500], "max-lines-per-function": ["error", 100] },
  },
  {
    // Nx's bannedExternalImports says nothing of a package that is not installed; these do.
    files: ["packages/**/*.{ts,mts,js,mjs}"],
    ignores: ["packages/core/**"],
    rules: {
      "no-restricted-imports": ["error", { patterns: [{ group: ["@tensorflow/*"], message: TENSORFLOW }] }],
      "no-restricted-syntax": [
        "error",
        { selector: "ImportExpression[source.value=/^@tensorflow/]", message: TENSORFLOW },
      ],
    },
  },
  {
    files: ["**/*.mjs", "**/*.js"],
    languageOptions: {
      globals: Object.fromEntries(
        ["process", "console", "Buffer", "URL", "setTimeout", "clearTimeout", "performance", "WebAssembly"].map(
          (name) => [name, "readonly"],
        ),
      ),
    },
  },
);
