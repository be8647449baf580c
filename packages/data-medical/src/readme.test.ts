import { readFileSync } from "node:fs";

import { parseFlags, withOptionTable } from "@medgpt/core/config";
import { describe, expect, it } from "vitest";
import type { z } from "zod";

import { command } from "./command.js";
import { convertSchema } from "./convert/config.js";
import { dedupSchema } from "./dedup/config.js";
import { FORMATS } from "./formats/formats.js";
import { lintSchema } from "./lint/config.js";
import { mixSchema } from "./mix/config.js";
import { pullSchema } from "./pull/config.js";
import { sampleSchema } from "./sample/config.js";
import { splitSchema } from "./split/config.js";
import { statsSchema } from "./stats/config.js";
import { TARGET_NAMES } from "./targets/targets.js";

const read = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
const [options, formats] = [read("docs/options.md"), read("docs/formats.md")];
const texts = ["README.md", "docs/operations.md"].map(read).join("\n");

describe("the documents", () => {
  it.each<[string, z.ZodObject]>([
    ["convert", convertSchema],
    ["pull", pullSchema],
    ["lint", lintSchema],
    ["stats", statsSchema],
    ["mix", mixSchema],
    ["split", splitSchema],
    ["dedup", dedupSchema],
    ["sample", sampleSchema],
  ])("has the current options of %s (tools/readme-tables.mjs brings them up to date)", (name, schema) => {
    expect(withOptionTable(options, schema, name)).toBe(options);
  });

  it("has every format with its columns, and whether it is written", () => {
    const rows = [...formats.matchAll(/^\| `([\w-]+)` +\| (.*?) +\| yes +\| (yes)? *\|$/gm)];
    expect(rows.map(([, name, about, written]) => [name, about, written === "yes"])).toEqual(
      FORMATS.map(({ name, about }) => [name, about, (TARGET_NAMES as string[]).includes(name)]),
    );
  });

  it("has commands that parse", async () => {
    const lines = [...texts.matchAll(/^npx medgpt-data-medical (\w+)(.*)$/gm)];
    expect(lines.length).toBeGreaterThan(4);
    for (const [, verb, words] of lines) {
      const { config } = await command.commands
        .find(({ name }) => name === verb)!
        .load()
        .then((loaded) => loaded as never as { config: z.ZodObject });
      expect(() =>
        parseFlags(
          config,
          words!.split(" ").filter((word) => word !== ""),
        ),
      ).not.toThrow();
    }
  });
});

describe("the list of verbs", () => {
  it.each(command.commands)("has $name as its command describes itself", async ({ name, summary, load }) => {
    expect(await load()).toMatchObject({ name: `data ${name}`, summary });
  });
});
