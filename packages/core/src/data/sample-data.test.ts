import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { z } from "zod";
import { readConversation } from "../chat/index.js";

// The sample data has no package of its own; this is the one that reads it.
const sample = fileURLToPath(new URL("../../../../datasets/sample/", import.meta.url));
const LANGUAGES = ["zh", "en"] as const;
type Language = (typeof LANGUAGES)[number];

const temporary = mkdtempSync(join(tmpdir(), "medgpt-sample-"));
afterAll(() => rmSync(temporary, { recursive: true }));

const turn = z.strictObject({
  from: z.enum(["system", "human", "gpt", "function_call", "observation"]),
  value: z.string().min(1),
});
const dialogueRow = z.strictObject({ conversations: z.array(turn), tools: z.string().optional() });
const pairRow = z.strictObject({
  conversations: z.array(turn),
  chosen: z.string(),
  rejected: z.string(),
  category: z.enum(["helpful", "honest", "harmless"]),
});
const promptRow = z.strictObject({ prompt: z.string() });

function rows<T>(stage: string, split: string, language: Language, schema: z.ZodType<T>): T[] {
  const lines = readFileSync(join(sample, stage, split, `${language}.jsonl`), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => schema.parse(JSON.parse(line)));
}
const bothSplits = <T>(stage: string, language: Language, schema: z.ZodType<T>): T[] => [
  ...rows(stage, "train", language, schema),
  ...rows(stage, "validation", language, schema),
];
const inLanguage = <T>(read: (language: Language) => T[]): T[] => LANGUAGES.flatMap(read);

const dialogues = (language: Language) => bothSplits("sft", language, dialogueRow);
const pairs = (language: Language) => bothSplits("reward", language, pairRow);
const prompts = (language: Language) => bothSplits("prompts", language, promptRow);

const said = (conversations: z.infer<typeof turn>[], from: string): string[] =>
  conversations.filter((turn) => turn.from === from).map(({ value }) => value);
/** All answers of a language, those that are wrong on purpose among them. */
const answers = (language: Language): string[] => [
  ...dialogues(language).flatMap(({ conversations }) => said(conversations, "gpt")),
  ...pairs(language).flatMap(({ conversations, chosen, rejected }) => [
    ...said(conversations, "gpt"),
    chosen,
    rejected,
  ]),
];
const questions = (language: Language): string[] => [
  ...dialogues(language).flatMap(({ conversations }) => said(conversations, "human")),
  ...pairs(language).flatMap(({ conversations }) => said(conversations, "human")),
  ...prompts(language).map(({ prompt }) => prompt),
];
const length = (text: string, language: Language): number =>
  language === "zh" ? [...text].length : text.split(/\s+/).length;

it("is written again byte for byte by its generator", () => {
  execFileSync(process.execPath, [join(sample, "generate.mjs"), temporary]);
  const files = (folder: string) => readdirSync(folder, { recursive: true, encoding: "utf8" });
  const written = files(temporary).filter((name) => /\.(txt|jsonl)$/.test(name));
  expect(written).toHaveLength(3 + 3 * 2 * 2);
  const differs = (name: string) => !readFileSync(join(temporary, name)).equals(readFileSync(join(sample, name)));
  expect(written.filter(differs)).toEqual([]);
  const kept = ["pretrain", "sft", "reward", "prompts"].flatMap((stage) =>
    files(join(sample, stage)).map((name) => join(stage, name)),
  );
  expect(kept.filter((name) => /\.\w+$/.test(name)).sort()).toEqual(written.sort());
});

it("has 380 documents, 300 dialogues, 240 pairs and 100 prompts, half of the rows in each language", () => {
  const documents = readdirSync(join(sample, "pretrain")).map(
    (name) =>
      readFileSync(join(sample, "pretrain", name), "utf8")
        .trimEnd()
        .split("\n").length,
  );
  expect(documents.reduce((sum, count) => sum + count)).toBe(380);
  for (const language of LANGUAGES) {
    expect(rows("sft", "train", language, dialogueRow)).toHaveLength(140);
    expect(rows("sft", "validation", language, dialogueRow)).toHaveLength(10);
    expect(rows("prompts", "train", language, promptRow)).toHaveLength(45);
    expect(rows("prompts", "validation", language, promptRow)).toHaveLength(5);
    for (const [split, count] of [
      ["train", 36],
      ["validation", 4],
    ] as const) {
      const categories = rows("reward", split, language, pairRow).map(({ category }) => category);
      for (const category of ["helpful", "honest", "harmless"])
        expect(categories.filter((one) => one === category)).toHaveLength(count);
    }
  }
});

it("alternates turns, a third of the dialogues with several, some with a system turn and some with tools", () => {
  const all = inLanguage(dialogues);
  const refuse = (what: string) => expect.fail(what);
  for (const row of all) {
    const { conversations, tools } = row;
    readConversation(row, { place: JSON.stringify(row), toolFormat: "default", onLeftOut: refuse });
    const roles = conversations.map(({ from }) => from).join(" ");
    expect(roles).toMatch(
      tools === undefined ? /^(system )?human gpt( human gpt)*$/ : /^human function_call observation gpt( human gpt)*$/,
    );
    if (tools === undefined) continue;
    const names = z.array(z.looseObject({ name: z.string() })).parse(JSON.parse(tools));
    const call = z
      .strictObject({ name: z.string(), arguments: z.record(z.string(), z.unknown()) })
      .parse(JSON.parse(said(conversations, "function_call")[0]!));
    expect(names.map(({ name }) => name)).toContain(call.name);
    JSON.parse(said(conversations, "observation")[0]!);
  }
  const having = (condition: (row: z.infer<typeof dialogueRow>) => boolean) => all.filter(condition).length;
  expect(having(({ conversations }) => said(conversations, "human").length > 1)).toBe(100);
  expect(having(({ conversations }) => said(conversations, "human").length > 2)).toBeGreaterThanOrEqual(30);
  expect(having(({ conversations }) => conversations[0]!.from === "system")).toBeGreaterThanOrEqual(20);
  expect(having(({ tools }) => tools !== undefined)).toBe(12);
  for (const { conversations } of inLanguage(pairs))
    expect(conversations.map(({ from }) => from).join(" ")).toMatch(/^human( gpt human)*$/);
});

it("asks no question twice but for follow-ups, and prompts with none of the others' questions", () => {
  for (const language of LANGUAGES) {
    const first = [...dialogues(language), ...pairs(language)].map(
      ({ conversations }) => said(conversations, "human")[0]!,
    );
    const all = [...first, ...prompts(language).map(({ prompt }) => prompt)];
    expect(all.filter((question, i) => all.indexOf(question) !== i)).toEqual([]);
  }
});

it("answers in 40 to 250 characters or words, and ends every answer", () => {
  for (const language of LANGUAGES) {
    const kept = [
      ...dialogues(language).flatMap(({ conversations }) => said(conversations, "gpt")),
      ...pairs(language).map(({ chosen }) => chosen),
    ];
    const wrong = kept.filter((text) => length(text, language) < 40 || length(text, language) > 250);
    expect(wrong).toEqual([]);
    expect(answers(language).filter((text) => !/[。！？.!?]$/.test(text))).toEqual([]);
  }
});

it("does not let length alone tell the chosen answer from the rejected one", () => {
  for (const language of LANGUAGES) {
    const written = pairs(language).filter(({ category }) => category !== "helpful");
    const longer = written.filter(({ chosen, rejected }) => chosen.length > rejected.length).length;
    expect(longer / written.length).toBeGreaterThan(0.5);
    expect(longer / written.length).toBeLessThan(0.75);
  }
});

it("keeps to one script a language: simplified characters or ASCII", () => {
  // The rows of GB 2312 that hold characters have no traditional forms.
  const decoder = new TextDecoder("gbk");
  const characters: string[] = [];
  for (let high = 0xb0; high <= 0xf7; high++)
    for (let low = 0xa1; low <= 0xfe; low++) characters.push(decoder.decode(Uint8Array.of(high, low)));
  const simplified = new Set([...characters.join(""), ..."0123456789./ \n，。：；、？！“”…"]);
  const zh = [...answers("zh"), ...questions("zh")];
  expect([...new Set(zh.join(""))].filter((character) => !simplified.has(character))).toEqual([]);
  expect([...answers("en"), ...questions("en")].filter((text) => !/^[\x20-\x7e\n]+$/.test(text))).toEqual([]);
});

it("holds nothing that could be an address, a telephone number or a link", () => {
  for (const language of LANGUAGES)
    for (const text of [...answers(language), ...questions(language)])
      expect(text).not.toMatch(/@|https?:|\d[\d -]{6,}/);
});

it("has no two answers that share 0.7 of their shingles of five characters", () => {
  for (const language of LANGUAGES) {
    const texts = answers(language);
    const shingles = texts.map(
      (text) => new Set(Array.from({ length: text.length - 4 }, (_, i) => text.slice(i, i + 5))),
    );
    const near: string[] = [];
    /** Answers by shingle, of those already seen. */
    const holders = new Map<string, number[]>();
    for (const [i, mine] of shingles.entries()) {
      const shared = new Map<number, number>();
      for (const shingle of mine) {
        const list = holders.get(shingle) ?? [];
        for (const j of list) shared.set(j, (shared.get(j) ?? 0) + 1);
        holders.set(shingle, [...list, i]);
      }
      for (const [j, count] of shared)
        if (count / (mine.size + shingles[j]!.size - count) >= 0.7) near.push(`${texts[j]}\n${texts[i]}`);
    }
    expect(near).toEqual([]);
  }
});
