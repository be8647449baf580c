import { createReadStream, existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { nearestName, type Command } from "@medgpt/core/config";
import { loadChatTemplate, loadTokenizer } from "@medgpt/core/tokenizer";
import { checkFolder } from "@medgpt/core/training";
import { counted, say, type RunContext } from "@medgpt/core/run";
import { writeOutputs } from "../output-files.js";
import { checkOut, findRowFiles } from "../row-inputs.js";
import { lintSchema, type LintConfig } from "./config.js";
import { findingLines, type Finding } from "./finding.js";
import { lintFiles, type LintCounts } from "./lint-files.js";
import { isHeldOut } from "./is-held-out.js";
import { WRITABLE } from "./rows-of-file.js";
import type { Rule } from "./rule.js";
import { RULES } from "./rules.js";

/** `medgpt data lint` */
export const command: Command<typeof lintSchema> = {
  name: "data lint",
  summary: "Find what is wrong with rows, say where, and repair what can be.",
  config: lintSchema,
  run: runLint,
};

/** Resolves with whether nothing was found, or nothing is left of it. */
async function runLint(config: LintConfig, { log, signal }: RunContext): Promise<boolean> {
  const rules = chosenRules(config);
  const { files, bytes } = await findRowFiles(config.in);
  const against = config.against === null ? undefined : await findRowFiles(config.against);
  const references = against?.files ?? heldOutOf(files);
  const { tokenizer_name_or_path: dir } = config;
  const warn = (text: string): void => say({ log }, text, "warn");
  const tokenizer = dir === null ? undefined : await loadTokenizer(dir, { warn });
  const template = tokenizer === undefined ? undefined : await loadChatTemplate(tokenizer.dir);
  const outputs = config.fix || config.quarantine !== null ? await outputsOf(files, config) : [];
  await checkOut("quarantine", config.quarantine, config.overwrite);

  const shown = new Map<string, number>();
  const byRule = new Map<string, number>();
  const onFinding = (finding: Finding): void => {
    const key = `${finding.rule} in ${finding.file}`;
    const count = (shown.get(key) ?? 0) + 1;
    shown.set(key, count);
    byRule.set(finding.rule, (byRule.get(finding.rule) ?? 0) + 1);
    const hidden = !config.json && config.show > 0 && count > config.show;
    if (!hidden) log({ type: "answer", lines: findingLines(finding), value: { type: "finding", ...finding } });
  };
  let done = 0;
  const onBytes = (count: number): void => {
    done += count;
    // What is complete is said by the summary.
    if (done < bytes) log({ type: "progress", task: "checking", done, total: bytes, unit: "bytes" });
  };

  const paths = [...(config.quarantine === null ? [] : [config.quarantine]), ...outputs];
  const counts = await writeOutputs(paths, (open) =>
    lintFiles({
      files,
      references,
      rules,
      tokenizer,
      template,
      maxLength: config.max_length ?? undefined,
      fix: config.fix,
      quarantine: config.quarantine === null ? undefined : open[0],
      outputs: config.quarantine === null ? open : open.slice(1),
      onFinding,
      onBytes,
      onNote: warn,
      signal,
    }),
  );
  const hidden = config.json || config.show === 0 ? [] : [...shown].filter(([, count]) => count > config.show);
  const lines = [
    ...hidden.map(([key, count]) => `… ${count - config.show} more of ${key} (--show 0 shows all)`),
    ...summary(files.length, counts, byRule),
  ];
  log({
    type: "answer",
    lines,
    value: { type: "summary", files: files.length, ...counts, rules: Object.fromEntries(byRule) },
  });
  for (const path of paths)
    log({ type: "saved", path, what: path === config.quarantine ? "quarantined rows" : "rows" });
  return counts.remaining === 0;
}

function summary(files: number, counts: LintCounts, byRule: ReadonlyMap<string, number>): string[] {
  const ruleLines = RULES.flatMap(({ name, fixes }) => {
    const count = byRule.get(name);
    return count === undefined ? [] : [`${String(count).padStart(8)}  ${name}${fixes === undefined ? "" : " (--fix)"}`];
  });
  const { rows, findings, repaired, removed, quarantined } = counts;
  const written =
    repaired + removed + quarantined === 0
      ? ""
      : `; ${repaired} repaired, ${removed} removed as duplicates, ${quarantined} quarantined`;
  const total = `${counted(findings, "finding")} in ${counted(rows, "row")} of ${counted(files, "file")}`;
  return [...ruleLines, total + written];
}

/** @throws InputError for a name that no rule has */
function chosenRules({ rules, ignore }: LintConfig): readonly Rule[] {
  const names = RULES.map(({ name }) => name);
  for (const [flag, given] of [
    ["--rules", rules ?? []],
    ["--ignore", ignore],
  ] as const) {
    const unknown = given.find((name) => !names.includes(name));
    if (unknown === undefined) continue;
    const nearest = nearestName(unknown, names);
    const hint = nearest === undefined ? `the rules are ${names.join(", ")}` : `did you mean ${nearest}?`;
    throw new InputError(`unknown rule ${JSON.stringify(unknown)}; ${hint}`, { place: flag });
  }
  return RULES.filter(({ name }) => (rules?.includes(name) ?? true) && !ignore.includes(name));
}

/** Where the files go that are written: the places of the input, or the same below the folder `out`. */
async function outputsOf(files: readonly string[], { in: inputs, out, overwrite }: LintConfig): Promise<string[]> {
  const other = files.find((file) => !WRITABLE.includes(extname(file)));
  if (other !== undefined)
    throw new InputError(`expected ${WRITABLE.join(", ")} files to write; medgpt data convert makes one of it`, {
      place: other,
    });
  for (const file of files) {
    if (extname(file) === ".json" && !(await isList(file)))
      throw new InputError("expected a list to write; medgpt data convert makes one of it", { place: file });
  }
  if (out === null) return [...files];
  const paths = files.map((file) => {
    const folder = inputs.find((input) => !relative(input, file).startsWith("..") && resolve(input) !== resolve(file));
    return join(out, folder === undefined ? basename(file) : relative(folder, file));
  });
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined)
    throw new InputError("two input files would be written here; give them one by one", { place: twice });
  await checkFolder("out", out);
  const input = paths.find((path) => files.some((file) => resolve(file) === resolve(path)));
  if (input !== undefined)
    throw new InputError("--out: this is a file of the input; --in_place replaces it", { place: input });
  for (const path of paths) {
    await mkdir(dirname(path), { recursive: true });
    if (existsSync(path) && !overwrite)
      throw new InputError("--out: is there already; choose another folder, or give --overwrite", { place: path });
  }
  return paths;
}

async function isList(file: string): Promise<boolean> {
  for await (const chunk of createReadStream(file, { end: 4095 }) as AsyncIterable<Buffer>)
    return /^\uFEFF?\s*\[/.test(chunk.toString());
  return false;
}

/** Held-out files, where there are others that could repeat them. */
function heldOutOf(files: readonly string[]): string[] {
  const heldOut = files.filter(isHeldOut);
  return heldOut.length === files.length ? [] : heldOut;
}
