import { describe, expect, it } from "vitest";
import { z } from "zod";

import { accepted, flag, mainFlags, orderedByTopic, refused, required, topic } from "./schema.js";
import { helpText, optionTable, withOptionTable } from "./table.js";

const schema = z.strictObject({
  ...topic("Model", { model: required(z.string(), { help: "The folder of the model." }) }),
  ...topic("Loop", {
    train: flag(z.boolean(), { default: false, help: "Train." }),
    when: flag(z.enum(["no", "steps"]), { default: "no", help: "When to evaluate | or not.", alias: ["evaluation"] }),
    rate: flag(z.number(), { default: 5e-5, help: "The rate." }),
    where: flag(z.string().nullable(), { default: null, help: "Where." }),
    names: flag(z.array(z.string()), { default: ["all"], help: "Which." }),
    timeout: accepted(z.int(), { default: 1800, because: "training runs in one process" }),
    qlora: refused(z.boolean(), { default: false, why: "weights are not quantised" }),
  }),
});

const TABLE = `### Model

| flag | type | default | class | |
| --- | --- | --- | --- | --- |
| \`--model\` | text | required | acts | The folder of the model. |

### Loop

| flag | type | default | class | |
| --- | --- | --- | --- | --- |
| \`--train\` | boolean | \`False\` | acts | Train. |
| \`--when\`, \`--evaluation\` | \`no\`, \`steps\` | \`no\` | acts | When to evaluate \\| or not. |
| \`--rate\` | number | \`0.00005\` | acts | The rate. |
| \`--where\` | text | \`None\` | acts | Where. |
| \`--names\` | list | \`all\` | acts | Which. |
| \`--timeout\` | integer | \`1800\` | accepted | Changes nothing here, because training runs in one process. |
| \`--qlora\` | boolean | \`False\` | refused | Refused: weights are not quantised. |`;

describe("the option table", () => {
  it("has a row for every field, by topic", () => {
    expect(optionTable(schema)).toBe(TABLE);
  });

  it("replaces what is between a README's markers and nothing else", () => {
    const readme = (between: string) =>
      `# A\n\n<!-- options: generated from src/config.ts by tools/readme-tables.mjs -->\n${between}<!-- /options -->\n\nZ\n`;
    expect(withOptionTable(readme("old\n"), schema)).toBe(readme(`\n${TABLE}\n\n`));
    expect(withOptionTable(readme(`\n${TABLE}\n\n`), schema)).toBe(readme(`\n${TABLE}\n\n`));
    expect(() => withOptionTable("# A\n", schema)).toThrow("README lacks");
  });

  it("has markers of its own for each command of a README", () => {
    const readme = (between: string) =>
      `<!-- options of a: generated from src/config.ts by tools/readme-tables.mjs -->\n${between}<!-- /options of a -->\n`;
    expect(withOptionTable(readme("old\n"), schema, "a")).toBe(readme(`\n${TABLE}\n\n`));
    expect(() => withOptionTable(readme(""), schema, "b")).toThrow("options of b");
  });
});

describe("the help text", () => {
  const help = helpText(schema, { usage: "medgpt fake [flags]", summary: "Does nothing.", columns: 60 });

  it("names every flag under its topic with its sentence and default", () => {
    expect(help).toContain(
      "Does nothing.\n\nUsage: medgpt fake [flags]\n\nModel\n  --model <text>\n      The folder of the model. Required.",
    );
    expect(help).toContain("Loop\n  --train <boolean>\n      Train. Default: False.");
    expect(help).toContain("--when, --evaluation <no|steps>");
    expect(help).toContain("Refused: weights are not quantised.");
  });

  it("keeps topics together, whatever groups a command is composed of", () => {
    const { model, ...loop } = schema.shape;
    const other = topic("Model", { device: accepted(z.int(), { default: 1, because: "there is one" }) });
    expect(Object.keys(orderedByTopic({ model, ...loop, ...other })).slice(0, 3)).toEqual(["model", "device", "train"]);
  });

  it("fits the columns", () => {
    expect(Math.max(...help.split("\n").map((line) => line.length))).toBeLessThanOrEqual(60);
  });

  const marked = z.strictObject(mainFlags(schema.shape, ["rate"]));

  it("shows the main flags and the required ones, and how to see the others", () => {
    const short = helpText(marked, { usage: "medgpt fake [flags]", summary: "Does nothing." });
    expect([...short.matchAll(/^ {2}--(\w+)/gm)].map(([, name]) => name)).toEqual(["model", "rate"]);
    expect(short).toMatch(/\n\n6 more flags: medgpt fake --help all\n$/);
  });

  it("shows all of them where that is asked for", () => {
    const all = { usage: "medgpt fake [flags]", summary: "Does nothing.", columns: 60, all: true };
    expect(helpText(marked, all)).toBe(help);
  });
});
