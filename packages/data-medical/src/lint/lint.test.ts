import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseFlags } from "@medgpt/core/config";
import type { RunEvent } from "@medgpt/core/run";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DEFECTS, seedDefects } from "../testing/seed-defects.js";
import { command } from "./command.js";
import { lintSchema } from "./config.js";
import type { Finding } from "./finding.js";
import { RULES } from "./rules.js";

const SAMPLE = new URL("../../../../datasets/sample/tokenizer", import.meta.url).pathname;
/** Refuses some system prompts. */
const TEMPLATE =
  "{% if messages[0]['role'] == 'system' and '禁' in messages[0]['content'] %}{{ raise_exception('Not this.') }}{% endif %}{% for m in messages %}{{ m['content'] }}{% endfor %}";
/** More than clean rows have, less than those that are made too long. */
const MAX_LENGTH = 1200;

let dir = "";
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "lint-"))));
afterEach(() => rm(dir, { recursive: true }));

async function tokenizerWith(template: string): Promise<string> {
  const folder = join(dir, "tokenizer");
  await cp(SAMPLE, folder, { recursive: true });
  await writeFile(join(folder, "chat_template.jinja"), template);
  return folder;
}

async function lint(flags: object): Promise<{ clean: boolean; findings: Finding[]; lines: string[]; summary: object }> {
  const findings: Finding[] = [];
  const lines: string[] = [];
  let summary = {};
  const log = (event: RunEvent): void => {
    if (event.type !== "answer") return;
    lines.push(...event.lines);
    const value = event.value as Finding & { type: string };
    if (value.type === "finding") findings.push(value);
    else summary = value;
  };
  const parsed = lintSchema.safeParse({ show: 0, ...flags });
  if (!parsed.success) throw new Error(parsed.error.issues[0]!.message);
  const config = parsed.data;
  const clean = (await command.run(config, { log }, { given: new Set() })) as boolean;
  return { clean, findings, lines, summary };
}

const places = (found: readonly { rule: string; line: number; column: number }[]): string[] =>
  found.map(({ rule, line, column }) => `${line}:${column} ${rule}`).sort();

describe("seeded defects", () => {
  it("are of every rule, four or more of each", () => {
    expect(Object.keys(DEFECTS).sort()).toEqual(RULES.map(({ name }) => name).sort());
    for (const list of Object.values(DEFECTS)) expect(list.length).toBeGreaterThanOrEqual(4);
  });

  for (const layout of ["jsonl", "json"] as const) {
    for (const seed of [1, 2, 3]) {
      it(`are all found at their places, and nothing else: .${layout}, seed ${seed}`, async () => {
        const seeded = seedDefects({ seed, rows: 120, layout });
        const [file, clean, heldOut] = [`rows.${layout}`, `clean.${layout}`, "validation.jsonl"].map((name) =>
          join(dir, name),
        );
        await Promise.all([
          writeFile(file!, seeded.bytes),
          writeFile(clean!, seeded.clean),
          writeFile(heldOut!, seeded.heldOut),
        ]);
        const tokenizer = await tokenizerWith(TEMPLATE);
        const flags = { tokenizer_name_or_path: tokenizer, max_length: MAX_LENGTH };

        const seen = await lint({ in: [file, heldOut], ...flags });
        expect(places(seen.findings)).toEqual(places(seeded.planted));
        expect(seen.clean).toBe(false);
        expect(await lint({ in: [clean, heldOut], ...flags })).toMatchObject({ clean: true, findings: [] });

        // What is repaired, removed and put aside is all there was, and leaves nothing to be found.
        const [out, aside] = [join(dir, "out"), join(dir, "aside.jsonl")];
        const written = await lint({ in: [file, heldOut], ...flags, fix: true, quarantine: aside, out });
        expect(places(written.findings)).toEqual(places(seeded.planted));
        expect(written.clean).toBe(true);
        const again = await lint({ in: [out], ...flags });
        expect(again).toMatchObject({ clean: true, findings: [] });
        const { removed, quarantined } = written.summary as Record<string, number>;
        const asideRows = (await readFile(aside, "utf8")).trim().split("\n");
        expect(removed).toBe(4);
        expect(asideRows).toHaveLength(quarantined!);
        expect((again.summary as { rows: number }).rows).toBe(120 + 30 - removed! - quarantined!);
        for (const row of asideRows)
          expect(JSON.parse(row)).toMatchObject({ file, findings: [{ rule: expect.any(String) as string }] });
        expect((await readdir(dir)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
        expect(await readFile(file!)).toEqual(seeded.bytes);
      });
    }
  }
});

const turn = (from: string, value: string) => ({ from, value });
const row = (...conversations: object[]): string => JSON.stringify({ id: 7, conversations });

describe("--fix", () => {
  it("changes no more than what it repairs", async () => {
    const [asked, answered] = [turn("human", "发热三天怎么办？"), turn("gpt", "先量体温，再去看医生。")];
    const file = join(dir, "rows.jsonl");
    const kept =
      '{ "id" : 1e2,"conversations":[{"from":"human","value":"\\u53d1热？"},{"from":"gpt","value":"看医生。"}] }';
    await writeFile(
      file,
      [
        `\ufeff${kept}`,
        "",
        `${row(turn("User ", "头痛\u200b怎么办？"), turn("助手", "休息。\r\n多喝水。"))}\r`,
        `${row(asked, answered, turn("human", ""), turn("gpt", " "))},`,
        row(turn("human", "孩子咳嗽\t要查什么？"), turn("gpt", "听诊以后再决定。")).replace("\\t", "\t"),
        row(asked, answered),
      ].join("\n"),
    );
    expect(await lint({ in: [file], fix: true, in_place: true })).toMatchObject({
      clean: true,
      summary: { findings: 9, remaining: 0, repaired: 4, removed: 1, quarantined: 0 },
    });
    expect(await readFile(file, "utf8")).toBe(
      [
        kept,
        "",
        row(turn("human", "头痛怎么办？"), turn("gpt", "休息。\n多喝水。")),
        row(asked, answered),
        row(turn("human", "孩子咳嗽\t要查什么？"), turn("gpt", "听诊以后再决定。")),
        "",
      ].join("\n"),
    );
    expect(await lint({ in: [file] })).toMatchObject({ clean: true });
  });

  it("leaves what it cannot repair as it was, byte for byte", async () => {
    const file = join(dir, "rows.jsonl");
    const bytes = Buffer.concat([Buffer.from('{"text": "a'), Buffer.of(0xc3, 0x28), Buffer.from('"}\n')]);
    await writeFile(file, bytes);
    expect(await lint({ in: [file], fix: true, in_place: true })).toMatchObject({ clean: false });
    expect(await readFile(file)).toEqual(bytes);
    const aside = join(dir, "aside.jsonl");
    expect(await lint({ in: [file], quarantine: aside, in_place: true })).toMatchObject({ clean: true });
    const { base64 } = JSON.parse(await readFile(aside, "utf8")) as { base64: string };
    expect(Buffer.from(base64, "base64")).toEqual(bytes.subarray(0, -1));
    expect(await readFile(file, "utf8")).toBe("");
  });

  it("writes plain text, with its blank lines and headings", async () => {
    const file = join(dir, "book.txt");
    const line = "流感是由流感病毒引起的急性呼吸道传染病，起病急，传播快。";
    await writeFile(file, `\ufeff【病因】\r\n${line}\r\n\r\n【病因】\n${line}\n`);
    const { findings } = await lint({ in: [file], fix: true, out: join(dir, "out") });
    expect(places(findings)).toEqual(["1:1 encoding", "1:6 encoding", "2:29 encoding", "5:1 duplicate"]);
    expect(await readFile(join(dir, "out", "book.txt"), "utf8")).toBe(`【病因】\n${line}\n\n【病因】\n`);
  });

  it("refuses what would lose something, in one line", async () => {
    const file = join(dir, "rows.jsonl");
    await writeFile(file, `${row(turn("human", "好？"))}\n`);
    await expect(lint({ in: [file], fix: true })).rejects.toThrow("expected one of --out and --in_place");
    await expect(lint({ in: [file], fix: true, out: dir })).rejects.toThrow("--in_place replaces it");
    await expect(lint({ in: [file], quarantine: file, in_place: true })).rejects.toThrow("is there already");
    await writeFile(join(dir, "a.csv"), "text\na\n");
    await expect(lint({ in: [join(dir, "a.csv")], fix: true, in_place: true })).rejects.toThrow("medgpt data convert");
    await writeFile(join(dir, "held.json"), '{"name": "x", "data": [{"text": "好。"}]}');
    await expect(lint({ in: [join(dir, "held.json")], fix: true, in_place: true })).rejects.toThrow("expected a list");
    expect(await readFile(file, "utf8")).toBe(`${row(turn("human", "好？"))}\n`);
  });
});

describe("medgpt data lint", () => {
  it("shows place, rule, the spot and what to do", async () => {
    const file = join(dir, "rows.jsonl");
    await writeFile(file, `${row(turn("human", "😀我的电话是13812345678，发热怎么办？"), turn("gpt", "看医生。"))}\n`);
    const { lines } = await lint({ in: [file] });
    expect(lines).toEqual([
      `${file}:1:57  personal-data  a telephone number`,
      '    …from":"human","value":"😀我的电话是13812345678，发热怎么办？"},{"from":"…',
      `    ${" ".repeat(36)}^^^^^^^^^^^ remove or mask it`,
      "       1  personal-data",
      "1 finding in 1 row of 1 file",
    ]);
  });

  it("shows the first findings of a rule, and says how many more there are", async () => {
    const file = join(dir, "rows.jsonl");
    await writeFile(file, `${row(turn("human", "好？"))}\n`.repeat(5));
    const { lines, findings } = await lint({ in: [file], show: 2, rules: ["role-order"] });
    expect(findings).toHaveLength(2);
    expect(lines).toContain(`… 3 more of role-order in ${file} (--show 0 shows all)`);
  });

  it("reads the rules that are named", async () => {
    const file = join(dir, "rows.jsonl");
    await writeFile(file, `${row(turn("human", "好？"))}\n`);
    expect(await lint({ in: [file], ignore: ["role-order"] })).toMatchObject({ clean: true });
    await expect(lint({ in: [file], rules: ["role-odrer"] })).rejects.toThrow("did you mean role-order?");
    await expect(lint({ in: [file], max_length: 5 })).rejects.toThrow("expected --tokenizer_name_or_path with it");
  });

  it("reads .csv by its records", async () => {
    await writeFile(join(dir, "a.csv"), 'question,answer\n好？,"a\nb"\n电话,打13812345678\n');
    const { findings } = await lint({ in: [dir] });
    expect(places(findings)).toEqual(["4:29 personal-data"]);
  });

  it("reports where a list stops being JSON, and what stands before it", async () => {
    const file = join(dir, "rows.json");
    await writeFile(file, '[\n  {"text": "好。\u200b"},\n  {"text": 好}\n]');
    expect(places((await lint({ in: [file] })).findings)).toEqual(["2:15 encoding", "3:12 json"]);
    await expect(lint({ in: [file], fix: true, in_place: true })).rejects.toThrow("rows.json:3:12");
    expect(await readdir(dir)).toEqual(["rows.json"]);
  });

  it("leaves nothing behind when it is interrupted", async () => {
    const file = join(dir, "rows.jsonl");
    await writeFile(file, `${row(turn("human", "好？"))}\n`);
    const config = lintSchema.parse({ in: [file], quarantine: join(dir, "aside.jsonl"), in_place: true });
    const context = { log: () => undefined, signal: AbortSignal.abort() };
    await expect(command.run(config, context, { given: new Set() })).rejects.toThrow(/abort/i);
    expect(await readdir(dir)).toEqual(["rows.jsonl"]);
  });

  it("looks for special tokens in the texts of every format, and not in other columns", async () => {
    const end = "<|endoftext|>";
    const rows: object[] = [
      { id: end, system: end, question: "好？", answer: "好。" },
      { instruction: "好？", input: "", output: "好。", history: [["好？", `好${end}。`]] },
      { data: [`问：${end}好？`, "答：好。"] },
      { prompt: `好？${end}` },
      { text: `好。${end}` },
      { messages: [{ role: "user", content: [{ type: "text", text: `好${end}？` }] }] },
    ];
    const check = { tokenizer_name_or_path: SAMPLE, rules: ["special-token"] };
    for (const [index, row] of rows.entries()) {
      const column = [...JSON.stringify(row).slice(0, JSON.stringify(row).lastIndexOf(end))].length + 1;
      const file = join(dir, `${index}.jsonl`);
      await writeFile(file, `${JSON.stringify(row)}\n`);
      const found = await lint({ in: [file], ...check });
      expect(places(found.findings), file).toEqual([`1:${column} special-token`]);
      expect(found.findings[0]!.message).toContain(`the special token ${end}`);
    }
    await writeFile(join(dir, "book.txt"), `一行。\n两行。${end}三行。${end}\n`);
    const found = await lint({ in: [join(dir, "book.txt")], ...check });
    expect(places(found.findings)).toEqual(["2:20 special-token", "2:4 special-token"]);
  });

  it("says what a chat template refuses, in every format, and what to do", async () => {
    const tokenizer = await tokenizerWith(
      "{{ raise_exception('System role not supported') if messages[0]['role'] == 'system' }}ok",
    );
    const system = "你是护士。";
    const asked = { question: "怎么量体温？" };
    const rows: object[] = [
      { ...asked, answer: "夹好五分钟。", system },
      { conversations: [turn("system", system), turn("human", "好？"), turn("gpt", "好。")] },
      {
        messages: [
          { role: "developer", content: system },
          { role: "user", content: "好？" },
          { role: "assistant", content: "好。" },
        ],
      },
      { ...asked, response_chosen: "夹好。", response_rejected: "不量。", system_prompt: system },
      {
        prompt: [
          { role: "system", content: system },
          { role: "user", content: "好？" },
        ],
      },
    ];
    for (const [index, row] of rows.entries()) {
      const file = join(dir, `${index}.jsonl`);
      await writeFile(file, `${JSON.stringify(row)}\n${JSON.stringify(asked)}\n`);
      const { findings } = await lint({ in: [file], tokenizer_name_or_path: tokenizer, rules: ["template"] });
      expect(findings).toMatchObject([
        {
          line: 1,
          column: [...JSON.stringify(row).split(`"${system}`)[0]!].length + 1,
          message: "the chat template refuses the conversation: System role not supported",
          advice: expect.stringMatching(/beginning of the first question instead, or .*--template_name$/) as string,
        },
      ]);
    }
  });

  it("finds equal answers in pairs of every form", async () => {
    const file = join(dir, "rows.jsonl");
    const asked = { role: "user", content: "好？" };
    const said = (content: string) => ({ role: "assistant", content });
    const rows = (a: string, b: string): object[] => [
      { question: "好？", response_chosen: a, response_rejected: b },
      { prompt: "好？", chosen: a, rejected: b },
      { chosen: [asked, said(a)], rejected: [asked, said(b)] },
      { chosen: `\n\nHuman: 好？\n\nAssistant: ${a}`, rejected: `\n\nHuman: 好？\n\nAssistant: ${b}` },
    ];
    const all = [...rows("好。", " 好。\n"), ...rows("好。", "不好。")];
    await writeFile(file, all.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const { findings } = await lint({ in: [file], rules: ["equal-answers"] });
    expect(findings.map(({ line }) => line)).toEqual([1, 2, 3, 4]);
  });

  it("finds halves of characters in values and keys, takes them away with --fix, and quarantines none", async () => {
    const content = [
      String.raw`{"text":"a 🤧 \ud83e\udd27 b\ud83d"}`,
      String.raw`{"text":"ok","\udd27tag":{"deep":["\uD83D\uD83E\uDD27"]},"n":1.0}`,
      String.raw`{"text":"\\ud83d is how it is written"}`,
    ];
    const file = join(dir, "rows.jsonl");
    await writeFile(file, content.map((line) => `${line}\n`).join(""));
    const { findings } = await lint({ in: [file] });
    expect(places(findings)).toEqual(["1:28 encoding", "2:15 encoding", "2:36 encoding"]);
    await lint({ in: [file], fix: true, out: join(dir, "fixed") });
    expect(await readFile(join(dir, "fixed/rows.jsonl"), "utf8")).toBe(
      String.raw`{"text":"a 🤧 \ud83e\udd27 b"}` +
        "\n" +
        String.raw`{"text":"ok","tag":{"deep":["\uD83E\uDD27"]},"n":1.0}` +
        `\n${content[2]}\n`,
    );
    const aside = join(dir, "aside.jsonl");
    await lint({ in: [file], quarantine: aside, out: join(dir, "rest") });
    const put = (await readFile(aside, "utf8")).trim().split("\n");
    expect(put.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual(content.slice(0, 2));
  });

  it("keeps numbers as they are in the rows that it puts aside", async () => {
    const [file, aside] = [join(dir, "rows.jsonl"), join(dir, "aside.jsonl")];
    const bad = '{"text":"a\\u200b","id":9223372036854775807,"x":1e999,"__proto__":1.0}';
    await writeFile(file, `${bad}\n{"text":"ok。"}\n`);
    await lint({ in: [file], quarantine: aside, out: join(dir, "rest") });
    const row = bad.replace("\\u200b", "\u200b");
    expect(await readFile(aside, "utf8")).toMatch(`"row":${row}}\n`);
  });

  it("says of plain text that is JSON all through how to call it, and nothing of a line of it", async () => {
    await writeFile(join(dir, "all.txt"), '{"text":"走路。"}\n\n{"text":"Walk every day."}\n');
    await writeFile(join(dir, "some.txt"), '散文第一行。\n{"note": "one line like this is text"}\n');
    const { findings } = await lint({ in: [join(dir, "all.txt"), join(dir, "some.txt")] });
    expect(findings).toMatchObject([
      { rule: "json", file: join(dir, "all.txt"), line: 1, advice: expect.stringContaining(".jsonl") as string },
    ]);
  });

  it("finds records of tables with other cells than columns, and looks at those after them", async () => {
    const file = join(dir, "rows.csv");
    await writeFile(file, 'question,answer\n头痛？,"休息。\n多睡。"\n发热？\n咳嗽？,多喝水。\u200b\n');
    const { findings } = await lint({ in: [file] });
    expect(places(findings)).toEqual(["4:1 json", "5:33 encoding"]);
  });

  it("is called in docs/lint.md as it can be called", async () => {
    const text = await readFile(new URL("../../docs/lint.md", import.meta.url), "utf8");
    const calls = [...text.matchAll(/^medgpt data lint (.*)$/gm)];
    expect(calls).toHaveLength(3);
    for (const [, words] of calls) expect(() => parseFlags(lintSchema, words!.split(" "))).not.toThrow();
  });

  it("compares with the files that --against names", async () => {
    const [train, test] = [join(dir, "rows.jsonl"), join(dir, "others.jsonl")];
    const asked = turn("human", "孩子发热三天，咳嗽有痰，需要验血吗？");
    await writeFile(train, `${row(asked, turn("gpt", "要。"))}\n`);
    await writeFile(test, `${row(asked, turn("gpt", "需要先看医生，再决定验不验血。"))}\n`);
    expect(places((await lint({ in: [train], against: [test] })).findings)).toEqual(["1:50 leakage"]);
    expect(await lint({ in: [train] })).toMatchObject({ clean: true });
  });
});
