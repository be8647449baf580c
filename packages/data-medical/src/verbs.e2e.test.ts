/** stats, mix, split, dedup and sample, as they are called. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openDataset } from "@medgpt/artifacts";
import { parseFlags, type Command } from "@medgpt/core/config";
import { readRows } from "@medgpt/core/data";
import { loadTokenizer } from "@medgpt/core/tokenizer";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { command as dedup } from "./dedup/command.js";
import { command as mix } from "./mix/command.js";
import { random } from "./random.js";
import { command as sample } from "./sample/command.js";
import { command as split } from "./split/command.js";
import { command as stats } from "./stats/command.js";
import { writeRows } from "./rows/write-rows.js";
import { medgptData } from "./testing/run.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-verbs-"));
afterAll(() => rmSync(root, { recursive: true }));
let dir = root;
let count = 0;
beforeEach(() => {
  dir = join(root, String(count++));
  mkdirSync(dir);
});

const lines = (path: string): string[] => readFileSync(path, "utf8").split("\n").slice(0, -1);

function write(name: string, rows: readonly (string | object)[]): string {
  const path = join(dir, name);
  writeFileSync(path, rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join(""));
  return path;
}

/** Conversations of `count` questions that differ in more than one place. */
function chats(count: number, name = ""): object[] {
  const next = random(count);
  const words = (length: number): string =>
    Array.from({ length }, () => String.fromCharCode(0x4e00 + Math.floor(next() * 2000))).join("");
  return Array.from({ length: count }, (_, i) => ({
    conversations: [
      { from: "human", value: `${name}${i}${words(20)}？` },
      { from: "gpt", value: words(10 + Math.floor(next() * 90)) },
    ],
  }));
}

async function run({ name }: Command, ...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await medgptData(name.replace("data ", ""), ...argv);
  return { code, out: stdout, err: stderr };
}

/** Runs a command that must succeed and returns its answer to programs. */
async function answer(command: Command, ...argv: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await run(command, ...argv, "--json", "--overwrite");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out.trim().split("\n").at(-1)!) as Record<string, unknown>;
}

describe("medgpt data split", () => {
  it("puts every row into one split, and leaves it there when rows are added", async () => {
    const rows = chats(3000).map((row) => JSON.stringify(row));
    const few = write("few.jsonl", rows.slice(0, 2000));
    const many = write("many.jsonl", [...rows.slice(2000), ...rows.slice(0, 2000)]);
    const splits = ["train", "validation", "test"];
    const flags = ["--validation", "0.1", "--test", "0.05"];
    const found: string[][][] = [];
    for (const file of [few, many]) {
      const out = join(dir, `split-${found.length}`);
      await answer(split, file, "--out", out, ...flags);
      found.push(splits.map((name) => lines(join(out, `${name}.jsonl`))));
      const { format, splits: described } = (await openDataset(out, "chat")).manifest.details;
      expect(format).toBe("chat");
      expect(splits.map((name) => described[name]?.rows)).toEqual(found.at(-1)!.map(({ length }) => length));
      const order = lines(file);
      for (const each of found.at(-1)!) expect(each).toEqual(order.filter((row) => each.includes(row)));
    }
    const [before, after] = found as [string[][], string[][]];
    expect(after.flat().toSorted()).toEqual(rows.toSorted());
    before.forEach((each, i) => expect(after[i]).toEqual(expect.arrayContaining(each)));
    // Four standard deviations of a binomial.
    for (const [i, share] of [0.85, 0.1, 0.05].entries()) {
      expect(Math.abs(after[i]!.length - 3000 * share)).toBeLessThan(4 * Math.sqrt(3000 * share * (1 - share)));
    }
  });

  it("keeps rows of one question together, whatever is answered", async () => {
    const questions = Array.from({ length: 200 }, (_, i) => `How is disease number ${i} treated?`);
    const rows = questions.flatMap((question, i) => [
      { question, answer: "a" },
      { question: `  ${question.toUpperCase().replace("?", "！")}`, answer: `b${i}` },
    ]);
    const file = write("rows.jsonl", rows);
    const out = join(dir, "out");
    const { rows: counts } = await answer(split, file, "--out", out, "--validation", "0.3");
    const validation = lines(join(out, "validation.jsonl"));
    expect(validation.length).toBeGreaterThan(50);
    for (let i = 0; i < rows.length; i += 2) {
      expect(validation.includes(JSON.stringify(rows[i]))).toBe(validation.includes(JSON.stringify(rows[i + 1])));
    }
    expect(counts).toEqual({ train: 400 - validation.length, test: 0, validation: validation.length });
    expect(readdirSync(out).sort()).toEqual(["medgpt.json", "train.jsonl", "validation.jsonl"]);

    await answer(split, file, "--out", join(dir, "by-row"), "--validation", "0.3", "--by", "row");
    const byRow = lines(join(dir, "by-row/validation.jsonl"));
    expect(
      questions.some(
        (_, i) => byRow.includes(JSON.stringify(rows[2 * i])) !== byRow.includes(JSON.stringify(rows[2 * i + 1])),
      ),
    ).toBe(true);
  });

  it("moves rows out of train alone when a share grows", async () => {
    const file = write("rows.jsonl", chats(1000));
    const validation = async (...flags: string[]): Promise<string[]> => {
      await answer(split, file, "--out", join(dir, flags.join("")), ...flags);
      return lines(join(dir, flags.join(""), "validation.jsonl"));
    };
    const small = await validation("--validation", "0.05");
    expect(await validation("--validation", "0.2")).toEqual(expect.arrayContaining(small));
    expect(await validation("--validation", "0.05", "--test", "0.2")).toEqual(small);
    expect(await validation("--validation", "0.05", "--seed", "43")).not.toEqual(small);
  });
});

describe("medgpt data dedup", () => {
  const text = (index: number): string =>
    String(Object.values((chats(60)[index] as { conversations: { value: string }[] }).conversations[1]!)[1]);

  it("keeps the first of rows alike and lists the others", async () => {
    const long = Array.from({ length: 5 }, (_, i) => `${i}${text(i)}${text(i + 10)}${text(i + 20)}${text(i + 30)}`);
    const near = `${long[1]!.slice(0, -1)}改`;
    const a = write("a.jsonl", [{ text: long[0]! }, "", { text: long[1]! }, { id: 7, text: long[0]! }]);
    const b = write("b.jsonl", [{ text: near }, { text: long[2]! }, { text: long[1]! }, { text: near }]);
    const [out, list] = [join(dir, "out.jsonl"), join(dir, "list.tsv")];
    const flags = ["--out", out, "--duplicates", list];
    expect(await answer(dedup, a, b, ...flags)).toEqual({ type: "dedup", rows: 7, kept: 4, exact: 3, near: 0 });
    expect(lines(list)).toEqual([`${a}:4\t${a}:1\texact`, `${b}:3\t${a}:3\texact`, `${b}:4\t${b}:1\texact`]);
    expect(await answer(dedup, a, b, "--near", "0.8", ...flags)).toMatchObject({ kept: 3, exact: 3, near: 1 });
    expect(lines(out).map((line) => JSON.parse(line) as object)).toEqual([0, 1, 2].map((i) => ({ text: long[i] })));
    expect(lines(list)[1]).toMatch(/b\.jsonl:1\t\S+a\.jsonl:3\t0\.[89]\d$/);
  });

  it("finds nothing more in what it wrote, which may be the file that it read", async () => {
    const rows = chats(300);
    const file = write("rows.jsonl", [...rows, ...rows.slice(100)]);
    expect(await answer(dedup, file, "--near", "0.7", "--out", file)).toMatchObject({ kept: 300, exact: 200 });
    expect(await answer(dedup, file, "--near", "0.7", "--out", file)).toMatchObject({ rows: 300, kept: 300 });
  });

  it("says which rows of .parquet are alike", async () => {
    const file = join(dir, "rows.parquet");
    await writeRows(file, async function* () {
      for (const text of ["头", "痛", "头"]) yield { text };
    });
    await answer(dedup, file, "--out", join(dir, "out.jsonl"), "--duplicates", join(dir, "list.tsv"));
    expect(readFileSync(join(dir, "list.tsv"), "utf8")).toBe(`${file}:row 3\t${file}:row 1\texact\n`);
    expect(readFileSync(join(dir, "out.jsonl"), "utf8")).toBe('{"text":"头"}\n{"text":"痛"}\n');
  });

  it("does not write both files into one", async () => {
    const out = join(dir, "out.jsonl");
    const { code, err } = await run(dedup, write("a.jsonl", chats(2)), "--out", out, "--duplicates", out);
    expect({ code, err }).toEqual({ code: 2, err: `error: ${out}: --duplicates: expected another file than --out\n` });
  });

  it("compares questions alone when told to", async () => {
    const file = write("rows.jsonl", [
      { question: "头痛怎么办？", answer: "休息" },
      { question: "头痛怎么办？", answer: "喝水" },
    ]);
    expect(await answer(dedup, file, "--out", join(dir, "a.jsonl"))).toMatchObject({ kept: 2 });
    expect(await answer(dedup, file, "--by", "prompt", "--out", join(dir, "b.jsonl"))).toMatchObject({ kept: 1 });
  });
});

describe("medgpt data sample", () => {
  it("takes rows once each, in their order, and other ones by another seed", async () => {
    const file = write("rows.jsonl", chats(500));
    const take = async (...flags: string[]): Promise<string[]> => {
      expect(
        (await run(sample, file, "--rows", "100", "--out", join(dir, "out.jsonl"), "--overwrite", ...flags)).code,
      ).toBe(0);
      return lines(join(dir, "out.jsonl"));
    };
    const taken = await take();
    expect(taken).toHaveLength(100);
    expect(lines(file).filter((line) => taken.includes(line))).toEqual(taken);
    expect(await take()).toEqual(taken);
    expect(await take("--seed", "1")).not.toEqual(taken);
    const { code, err } = await run(sample, file, "--rows", "501", "--out", join(dir, "out.jsonl"), "--overwrite");
    expect({ code, err }).toEqual({
      code: 2,
      err: "error: --rows: expected at most 500, which is how many there are, got 501\n",
    });
    expect(lines(join(dir, "out.jsonl"))).not.toEqual([]);
  });
});

describe("medgpt data mix", () => {
  it("gives each source its exact share, in a random order that the seed decides", async () => {
    const [a, b] = [write("a.jsonl", chats(400, "a")), write("b.jsonl", chats(300, "b"))];
    const out = join(dir, "out.jsonl");
    const mixed = async (...flags: string[]): Promise<string[]> => {
      await answer(mix, `${a}:0.7`, `${b}:0.3`, "--out", out, ...flags);
      return lines(out);
    };
    const first = await mixed("--rows", "500");
    const fromA = first.filter((line) => lines(a).includes(line));
    expect(first).toHaveLength(500);
    expect(fromA).toHaveLength(350);
    expect(new Set(first).size).toBe(500);
    expect(lines(a).filter((line) => fromA.includes(line))).toEqual(fromA);
    expect(await mixed("--rows", "500")).toEqual(first);
    expect(await mixed("--rows", "500", "--seed", "7")).not.toEqual(first);
    // Of a random order of 350 and 150 rows, 210 neighbours differ in their source; the standard deviation is 9.4.
    const isA = first.map((line) => fromA.includes(line));
    const changes = isA.filter((each, i) => i > 0 && each !== isA[i - 1]).length;
    expect(Math.abs(changes - 210)).toBeLessThan(38);
    expect(await mixed()).toHaveLength(571); // 400 / 0.7
  });

  it("stops at the shortest source, or takes its rows again", async () => {
    const [a, b] = [write("a.jsonl", chats(700, "a")), write("b.jsonl", chats(40, "b"))];
    const out = join(dir, "out.jsonl");
    const { code, out: said, err } = await run(mix, `${a}:7`, `${b}:3`, "--rows", "1000", "--out", out);
    expect(code).toBe(0);
    expect(err).toMatch(/^warning: 133 rows are written, not 1000, because a source has no more for its share/);
    expect(said).toMatch(/a\.jsonl: 93 rows \(69\.92 %\), of 700, none twice\n\S+b\.jsonl: 40 rows \(30\.08 %\)/);
    expect(lines(out)).toHaveLength(133);
    await answer(mix, `${a}:7`, `${b}:3`, "--rows", "1000", "--exhausted", "repeat", "--out", out);
    const times = lines(b).map((line) => lines(out).filter((other) => other === line).length);
    expect(times.reduce((sum, each) => sum + each)).toBe(300);
    expect(new Set(times)).toEqual(new Set([7, 8]));
  });

  it.each([
    [
      "a format of its own",
      (a: string, b: string) => [`${a}:1`, `${b}:1`],
      /b\.jsonl:1: expected sharegpt as at \S+a\.jsonl:1, got text; convert/,
    ],
    [
      "no weight",
      (a: string) => [a],
      /a\.jsonl: expected FILE:WEIGHT with a weight of more than 0, such as \S+a\.jsonl:0\.7/,
    ],
    ["a weight of nothing", (a: string) => [`${a}:0`], /a\.jsonl:0: expected FILE:WEIGHT/],
    [
      "no rows",
      (_: string, __: string, empty: string) => [`${empty}:1`],
      /empty\.jsonl: expected rows to mix, got none/,
    ],
  ])("refuses a source with %s", async (_, words, message) => {
    const [a, b, empty] = [write("a.jsonl", chats(3)), write("b.jsonl", [{ text: "b" }]), write("empty.jsonl", [])];
    const { code, err } = await run(mix, ...words(a, b, empty), "--out", join(dir, "out.jsonl"));
    expect({ code, lines: err.split("\n").length }).toEqual({ code: 2, lines: 2 });
    expect(err).toMatch(message);
    expect(readdirSync(dir).sort()).toEqual(["a.jsonl", "b.jsonl", "empty.jsonl"]);
  });
});

describe("medgpt data stats", () => {
  it("counts rows, turns, characters, labels and tokens as they are", async () => {
    const rows = chats(200).map((row, i) => ({ ...row, category: i % 4 === 0 ? "儿科" : "内科" }));
    const file = write("chats.jsonl", rows);
    const tokenizer = fileURLToPath(new URL("../../../datasets/sample/tokenizer", import.meta.url));
    const said = rows.map((row) =>
      (row as { conversations?: { value: string }[] }).conversations!.map(({ value }) => value),
    );
    const lengths = said.map((texts) => Array.from(texts.join("")).length).sort((a, b) => a - b);
    const { encode } = await loadTokenizer(tokenizer).then((t) => ({
      encode: (text: string) => t.encode(text, { addSpecialTokens: false }).length,
    }));
    const { files } = (await answer(stats, file, "--tokenizer", tokenizer)) as { files: Record<string, unknown> };
    expect(files[file]).toMatchObject({
      rows: 200,
      formats: { sharegpt: 200 },
      turns: { count: 200, sum: 400, p50: 2, max: 2 },
      characters: {
        sum: lengths.reduce((sum, each) => sum + each),
        min: lengths[0],
        p50: lengths[99],
        max: lengths.at(-1),
      },
      tokens: { sum: said.flat().reduce((sum, text) => sum + encode(text), 0) },
      roles: { user: { turns: 200 }, assistant: { turns: 200 } },
      labels: { category: { 儿科: 50, 内科: 150 } },
    });
  });

  it("counts characters as people do", async () => {
    const file = write("texts.jsonl", [{ text: "头痛 ok 𠮷😀é。" }]);
    const { files } = (await answer(stats, file)) as { files: Record<string, unknown> };
    expect(files[file]).toMatchObject({ characters: { sum: 10 }, scripts: { han: 3, letters: 3, others: 4 } });
  });

  it("draws a histogram, and a page that needs nothing else", async () => {
    const folder = join(dir, "data");
    mkdirSync(folder);
    for (const name of ["a", "b<i>"]) write(`data/${name}.jsonl`, chats(100));
    const page = join(dir, "page.html");
    const { code, out } = await run(stats, folder, "--html", page);
    expect(code).toBe(0);
    expect(out).toMatch(/a\.jsonl: 100 rows: sharegpt\n {2}a row +mean +min/);
    expect(out).toMatch(/\n +\d+–\d+ {2}█+ \d+\.\d %\n/);
    expect(out).toMatch(/\nall files: 200 rows: sharegpt\n/);
    const html = readFileSync(page, "utf8");
    expect(html.match(/<svg /g)).toHaveLength(6);
    expect(html).toContain("b&#60;i&#62;.jsonl");
    expect(html).not.toMatch(/<script|https?:|src=|<i>/);
  });

  it("names a format by row where there are several", async () => {
    const file = write("rows.jsonl", [{ text: "a" }, { text: "b" }, { question: "c", answer: "d" }]);
    expect((await run(stats, file)).out).toMatch(/: 3 rows: 2 text, 1 qa\n/);
  });
});

describe("every verb", () => {
  const verbs: [string, Command, (file: string, out: string) => string[]][] = [
    ["split", split, (file, out) => [file, "--out", out, "--validation", "0.2"]],
    ["dedup", dedup, (file, out) => [file, "--out", `${out}.jsonl`, "--near", "0.8", "--duplicates", `${out}.tsv`]],
    ["sample", sample, (file, out) => [file, "--out", `${out}.jsonl`, "--rows", "20"]],
    ["mix", mix, (file, out) => [`${file}:1`, "--out", `${out}.jsonl`]],
    ["stats", stats, (file, out) => [file, "--html", `${out}.html`]],
  ];

  it.each(verbs)("%s writes the same bytes with one thread and with two", async (_, verb, argv) => {
    const rows = chats(200);
    const file = write("rows.jsonl", [...rows, ...rows.slice(50, 100)]);
    const outcome = async (threads: string): Promise<object> => {
      const { code, out } = await run(verb, ...argv(file, join(dir, "out")), "--threads", threads);
      const names = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
      const files = names.map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), "utf8")]);
      for (const name of readdirSync(dir)) if (name.startsWith("out")) rmSync(join(dir, name), { recursive: true });
      return { code, out, files };
    };
    const one = await outcome("1");
    expect(one).toMatchObject({ code: 0 });
    expect(await outcome("2")).toEqual(one);
  });

  it.each(verbs)("%s replaces only what it may", async (_, verb, argv) => {
    const file = write("rows.jsonl", chats(20));
    expect((await run(verb, ...argv(file, join(dir, "out")))).code).toBe(0);
    const { code, err } = await run(verb, ...argv(file, join(dir, "out")));
    expect(code).toBe(2);
    expect(err).toMatch(/is (there already|in use)/);
    expect((await run(verb, ...argv(file, join(dir, "out")), "--overwrite")).code).toBe(0);
  });

  it.each(verbs)("%s takes rows of .json, .csv, .parquet and .txt", async (_, verb, argv) => {
    const texts = Array.from({ length: 30 }, (_, i) => `第${i}条`);
    write("data.txt", texts);
    write("data.csv", ["text", ...texts]);
    write("data.json", [JSON.stringify(texts.map((text) => ({ text })))]);
    await writeRows(join(dir, "data.parquet"), async function* () {
      for (const text of texts) yield { text };
    });
    for (const end of ["txt", "csv", "json", "parquet"])
      expect(await run(verb, ...argv(join(dir, `data.${end}`), join(dir, `out-${end}`)))).toMatchObject({
        code: 0,
        err: "",
      });
  });

  const good = JSON.stringify({ text: "好" });
  const broken: [string, string, string][] = [
    ["broken JSON", '{"text": "a"', ":3:13: expected a JSON object, got the end of the line here"],
    ["no object", "[1]", ":3:1: expected a JSON object, got"],
    ["no known format", '{"words": 1}', ":3: the columns (words) fit no format"],
    ["a text that is none", '{"text": 5}', ':3: expected text in "text", got 5'],
  ];
  it.each(verbs.flatMap((verb) => broken.map((row) => [...verb, ...row] as const)))(
    "%s (%#) ends at a bad row, says where it is and leaves nothing",
    async (_, verb, argv, __, row, message) => {
      const file = write("rows.jsonl", [good, "", row, good]);
      const { code, err } = await run(verb, ...argv(file, join(dir, "out")));
      expect(code).toBe(2);
      expect(err.startsWith(`error: ${file}${message}`), err).toBe(true);
      expect(err.trimEnd()).not.toContain("\n");
      expect(readdirSync(dir)).toEqual(["rows.jsonl"]);
    },
  );

  it.each(verbs)("%s says where bytes are not UTF-8", async (_, verb, argv) => {
    const file = join(dir, "rows.jsonl");
    writeFileSync(file, Buffer.concat([Buffer.from(`${good}\n{"text": "头`), Buffer.of(0xff), Buffer.from('"}\n')]));
    const { code, err } = await run(verb, ...argv(file, join(dir, "out")));
    expect(code).toBe(2);
    expect(err).toMatch(/rows\.jsonl:2:12: expected UTF-8, got the byte 0xff/);
    expect(readdirSync(dir)).toEqual(["rows.jsonl"]);
  });

  it.each(verbs.slice(0, 4))("%s leaves nothing when it is interrupted", async (_, verb, argv) => {
    const file = write("rows.jsonl", chats(100));
    const { config } = parseFlags(verb.config, argv(file, join(dir, "out")));
    const controller = new AbortController();
    const log = (event: { type: string }): void => void (event.type === "progress" && controller.abort());
    const running = verb.run(config, { log, signal: controller.signal }, { given: new Set() });
    await expect(running).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
    expect(readdirSync(dir)).toEqual(["rows.jsonl"]);
  });
});

describe("every command that writes rows", () => {
  const odd =
    '{"instruction":"Q","output":"A","id":9223372036854775807,"w":1e999,"s":1.0,"z":-0,"__proto__":{"toString":1.50}}';
  const verbs = (out: string): [Command, string[]][] => [
    [mix, ["--rows", "1", "--out", join(out, "mix.jsonl")]],
    [split, ["--validation", "0", "--out", join(out, "split")]],
    [dedup, ["--out", join(out, "dedup.jsonl")]],
    [sample, ["--rows", "1", "--out", join(out, "sample.jsonl")]],
  ];
  const written = (out: string): string[] =>
    ["mix.jsonl", "split/train.jsonl", "dedup.jsonl", "sample.jsonl"].map((name) =>
      readFileSync(join(out, name), "utf8"),
    );

  it.each([
    ["rows.jsonl", odd],
    ["rows.json", `[\n${odd}\n]`],
  ])("keeps numbers and names of %s as they are, and makes its folders", async (name, content) => {
    const path = write(name, [content]);
    const out = join(dir, "new/deeper");
    for (const [command, flags] of verbs(out)) {
      const { code, err } = await run(command, command === mix ? `${path}:1` : path, ...flags);
      expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("") });
    }
    expect(written(out)).toEqual([odd, odd, odd, odd].map((line) => `${line}\n`));
  });

  it("keeps what parquet has", async () => {
    const path = join(dir, "rows.parquet");
    await writeRows(path, async function* () {
      for await (const { row } of readRows([write("rows.jsonl", [odd])])) yield row;
    });
    const out = join(dir, "out");
    for (const [command, flags] of verbs(out)) await run(command, command === mix ? `${path}:1` : path, ...flags);
    const back = odd.replace("1e999", '"1e999"').replace('"z":-0', '"z":-0.0').replace("1.50", "1.5");
    expect(written(out)).toEqual([back, back, back, back].map((line) => `${line}\n`));
  });

  it("refuses half of a character with its place, and leaves nothing behind", async () => {
    const path = write("rows.jsonl", [String.raw`{"instruction":"Q","output":"A\ud83d"}`]);
    for (const [command, flags] of verbs(dir)) {
      const { code, err } = await run(command, command === mix ? `${path}:1` : path, ...flags);
      expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("rows.jsonl:1:31: expected Unicode") });
    }
    expect(readdirSync(dir)).toEqual(["rows.jsonl"]);
  });

  it("takes a row with a null for a faulty one, not for one of another format", async () => {
    const path = write("rows.jsonl", [{ instruction: "Q", output: null }, odd, odd]);
    for (const [command, flags] of verbs(dir)) {
      const { code, err } = await run(command, command === mix ? `${path}:1` : path, ...flags);
      expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(/rows.jsonl:1: .*"output".*null/) });
    }
  });

  it("says in words that there is no such file", async () => {
    for (const [command, flags] of verbs(dir)) {
      const { err } = await run(command, command === mix ? "none.jsonl:1" : "none.jsonl", ...flags);
      expect(err).toBe("error: none.jsonl: there is no such file or folder; check the name\n");
    }
  });
});
