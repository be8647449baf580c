/** `medgpt data convert` on files, from the command line to what it leaves behind. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { openDataset } from "@medgpt/artifacts";
import { readRows, type DataRow } from "@medgpt/core/data";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { medgptData, type Outcome } from "../testing/run.js";

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "medgpt-convert-"))));
afterEach(() => rm(root, { recursive: true }));

const at = (...names: string[]): string => join(root, ...names);
const lines = (...rows: object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const rowsOf = async (path: string): Promise<DataRow[]> => {
  const rows: DataRow[] = [];
  for await (const { row } of readRows([path])) rows.push(row);
  return rows;
};
const convert = (input: string, to: string, out: string, ...more: string[]): Promise<Outcome> =>
  medgptData("convert", at(input), "--to", to, "--out", at(out), ...more);

const asked = { instruction: "发热怎么办？", input: "", output: "多喝水。" };
const conversation = {
  conversations: [
    { from: "human", value: "发热怎么办？" },
    { from: "gpt", value: "多喝水。" },
  ],
};

describe("medgpt data convert", () => {
  it.each([
    ["x.jsonl", lines(asked, asked)],
    ["x.json", JSON.stringify([asked, asked], null, 2)],
    ["data.json", JSON.stringify({ version: 1, data: [asked, asked] })],
    ["lines.json", lines(asked, asked)],
    ["x.csv", `\uFEFFinstruction,input,output\r\n发热怎么办？,,多喝水。\r\n"发热怎么办？","","多喝水。"\r\n`],
  ])("reads %s", async (name, content) => {
    await writeFile(at(name), content);
    const { code, stderr } = await convert(name, "sharegpt", "out.jsonl");
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/: alpaca \(instruction, output\)\n$/) });
    expect(await rowsOf(at("out.jsonl"))).toEqual([conversation, conversation]);
  });

  it("reads its own parquet", async () => {
    await writeFile(at("x.jsonl"), lines(asked, asked));
    expect((await convert("x.jsonl", "messages", "x.parquet")).code).toBe(0);
    expect((await convert("x.parquet", "sharegpt", "out.jsonl")).code).toBe(0);
    expect(await rowsOf(at("out.jsonl"))).toEqual([conversation, conversation]);
  });

  it("reads lines of text, and a folder at every depth", async () => {
    await mkdir(at("in/deep"), { recursive: true });
    await writeFile(at("in/deep/a.txt"), "one\n\ntwo\n");
    await writeFile(at("in/b.jsonl"), lines({ text: "three" }));
    expect((await convert("in", "text", "out.jsonl")).code).toBe(0);
    expect(await rowsOf(at("out.jsonl"))).toEqual([{ text: "three" }, { text: "one" }, { text: "two" }]);
  });

  it("keeps the splits that the names in a folder tell", async () => {
    for (const split of ["train", "valid"]) {
      await mkdir(at("in", split), { recursive: true });
      await writeFile(at("in", split, "zh.jsonl"), lines({ ...asked, output: split }));
    }
    expect((await convert("in", "text", "out")).code).toBe(0);
    expect(await rowsOf(at("out/validation.jsonl"))).toEqual([{ text: "发热怎么办？\nvalid" }]);
    const { code, stderr } = await convert("in", "text", "out.jsonl");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("a folder for the splits train, validation"),
    });
  });

  it("keeps extra columns, and says which give way to the target's", async () => {
    await writeFile(at("x.jsonl"), lines({ ...asked, category: "sft", text: "T", n: 1 }));
    const { stderr } = await convert("x.jsonl", "text", "out.jsonl");
    expect(stderr).toContain("warning: left out, because text has columns of these names: text\n");
    expect(await rowsOf(at("out.jsonl"))).toEqual([{ text: "发热怎么办？\n多喝水。", category: "sft", n: 1 }]);
  });

  it("stops at the first row that is refused, with its place, and writes nothing", async () => {
    await writeFile(at("x.jsonl"), lines(asked, { ...asked, output: 7 }, asked));
    for (const out of ["out.jsonl", "out.parquet", "out"]) {
      const { code, stderr } = await convert("x.jsonl", "sharegpt", out);
      expect(code).toBe(2);
      expect(stderr).toContain(`error: ${at("x.jsonl")}:2: expected text in "output", got 7\n`);
    }
    expect(await readdir(root)).toEqual(["x.jsonl"]);
  });

  it("puts refused rows aside with --quarantine, and goes on", async () => {
    await writeFile(at("x.jsonl"), lines(asked, { ...asked, output: 7 }, { other: 1 }, asked));
    const { code, stderr } = await convert("x.jsonl", "sharegpt", "out.jsonl", "--quarantine", at("bad.jsonl"));
    expect(code).toBe(0);
    expect(stderr).toContain(`warning: 2 rows were refused: see ${at("bad.jsonl")}`);
    expect(await rowsOf(at("out.jsonl"))).toHaveLength(2);
    expect(await rowsOf(at("bad.jsonl"))).toEqual([
      { place: `${at("x.jsonl")}:2`, reason: 'expected text in "output", got 7', row: { ...asked, output: 7 } },
      {
        place: `${at("x.jsonl")}:3`,
        reason: expect.stringContaining("the columns (other) fit no format"),
        row: { other: 1 },
      },
    ]);
  });

  it("writes no quarantine where no row is refused", async () => {
    await writeFile(at("x.jsonl"), lines(asked));
    expect((await convert("x.jsonl", "sharegpt", "out.jsonl", "--quarantine", at("bad.jsonl"))).code).toBe(0);
    expect((await readdir(root)).sort()).toEqual(["out.jsonl", "x.jsonl"]);
  });

  it("refuses rows of two formats, naming both, unless --from says how to read them", async () => {
    await writeFile(at("x.jsonl"), lines(asked, { ...asked, instruction: "Human: Q\nAssistant:" }));
    const { code, stderr } = await convert("x.jsonl", "sharegpt", "out.jsonl");
    expect(code).toBe(2);
    expect(stderr).toContain(
      `${at("x.jsonl")}:2: expected alpaca (instruction, output) as at ${at("x.jsonl")}:1, got belle (instruction, output)`,
    );
    expect((await convert("x.jsonl", "sharegpt", "out.jsonl", "--from", "belle")).code).toBe(0);
    expect((await rowsOf(at("out.jsonl")))[1]).toMatchObject({ conversations: [{ value: "Q" }, { from: "gpt" }] });
  });

  it("makes a folder a dataset artifact, and keeps its splits when it is converted again", async () => {
    await writeFile(at("x.jsonl"), lines(asked, asked));
    expect((await convert("x.jsonl", "alpaca", "first")).code).toBe(0);
    const first = await openDataset(at("first"), "chat");
    expect(first.manifest.details).toEqual({ format: "chat", splits: { train: { files: ["train.jsonl"], rows: 2 } } });
    expect((await convert("first", "text", "second")).code).toBe(0);
    const second = await openDataset(at("second"), "text");
    expect(second.manifest.inputs).toMatchObject([{ kind: "dataset", digest: first.digest }]);
    expect(second.manifest.createdBy).toMatchObject({ package: "@medgpt/data-medical", config: { to: "text" } });
  });

  it("replaces what is there only with --overwrite", async () => {
    await writeFile(at("x.jsonl"), lines(asked));
    for (const out of ["out.jsonl", "out"]) {
      expect((await convert("x.jsonl", "sharegpt", out)).code).toBe(0);
      const again = await convert("x.jsonl", "sharegpt", out);
      expect(again).toMatchObject({ code: 2, stderr: expect.stringMatching(/is there already|is in use/) });
      expect((await convert("x.jsonl", "sharegpt", out, "--overwrite")).code).toBe(0);
    }
  });

  it.each<[string, string[], string]>([
    ["a file that is not there", ["none.jsonl"], "there is no such file or folder; check the name"],
    ["a file that is no data", ["x.bin"], "expected a file ending in .txt, .jsonl, .json, .csv, .tsv, .parquet"],
    [
      "an output of another ending",
      ["x.jsonl", "--out", "x.csv"],
      "expected a file ending in .jsonl or .parquet, or a folder",
    ],
    ["a file for a folder", ["x.jsonl", "--out", "x.bin/x.jsonl"], "--out: expected a folder, this is a file"],
    ["no rows", ["empty.jsonl"], "expected rows, got none"],
    ["a line that is not JSON", ["broken.jsonl"], "broken.jsonl:2:8: expected a JSON object, got } here"],
    ["a header that repeats a name", ["twice.csv"], 'expected another name for each column, got "a" twice'],
    ["a record with too many values", ["long.csv"], "long.csv:3: expected 2 cells (question, answer), got 3 cells"],
  ])("refuses %s in one line", async (_, [input, flag = "--out", out = "out.jsonl"], message) => {
    await writeFile(at("x.jsonl"), lines(asked));
    await writeFile(at("x.bin"), "");
    await writeFile(at("empty.jsonl"), "\n");
    await writeFile(at("broken.jsonl"), `${lines(asked)}{"a":  }\n`);
    await writeFile(at("twice.csv"), "a,a\n1,2\n");
    await writeFile(at("long.csv"), "question,answer\nQ,A\nQ,A,B\n");
    const { code, stderr } = await medgptData("convert", at(input!), "--to", "sharegpt", flag, at(out));
    expect(code).toBe(2);
    expect(stderr.trim().split("\n").at(-1)).toContain(message);
    expect(existsSync(at(out))).toBe(false);
  });
});

const shared = resolve(
  process.env["MEDGPT_SHARED"] ?? fileURLToPath(new URL("../../../../../shared", import.meta.url)),
);
const hasData = existsSync(join(shared, "data"));
if (!hasData && process.env["CI"] === "true")
  throw new Error(`the real data are missing: ${shared}/data; set MEDGPT_SHARED`);

const cases = join(shared, "cases");
describe.skipIf(!existsSync(cases))("rows of users", () => {
  it.each([
    ["16-empty-answers/rows.jsonl", "sharegpt", 1, [[1, "answer 1 has no text"]]],
    ["16-empty-answers/pairs.jsonl", "preference", 0, [[1, "the rejected answer has no text"]]],
    ["18-equal-pairs/pairs.jsonl", "preference", 1, [[1, "the chosen and the rejected answer are the same"]]],
    ["18-equal-pairs/hh.jsonl", "preference", 0, [[1, "the chosen and the rejected answer are the same"]]],
    ["10-content-parts/rows.jsonl", "sharegpt", 2, []],
    ["09-call-arguments/rows.jsonl", "sharegpt", 3, []],
  ] as const)("%s as %s: %i rows are written", async (file, to, count, refused) => {
    const aside = ["--quarantine", at("aside.jsonl")];
    const { code } = await medgptData("convert", join(cases, file), "--to", to, "--out", at("out.jsonl"), ...aside);
    expect(code).toBe(count === 0 ? 2 : 0);
    if (count > 0) expect(await rowsOf(at("out.jsonl"))).toHaveLength(count);
    const rows = existsSync(at("aside.jsonl")) ? await rowsOf(at("aside.jsonl")) : [];
    expect(rows).toMatchObject(
      refused.map(([line, reason]) => ({
        place: `${join(cases, file)}:${line}`,
        reason: expect.stringContaining(reason),
      })),
    );
  });

  it("09-call-arguments: arguments are objects, without the nulls of a table", async () => {
    const file = join(cases, "09-call-arguments/rows.jsonl");
    expect((await medgptData("convert", file, "--to", "sharegpt", "--out", at("out.jsonl"))).code).toBe(0);
    const calls = (await rowsOf(at("out.jsonl"))).map(
      ({ conversations }) => (conversations as { value: string }[])[1]!.value,
    );
    expect(calls.map((call) => (JSON.parse(call) as { arguments: unknown }).arguments)).toEqual([
      {},
      {},
      { seconds: 30 },
    ]);
  });
});

describe.skipIf(!hasData)("real data", () => {
  it.each([
    ["sft/medical_sft_1K_format.jsonl", 1000, "messages"],
    ["sft/medical_sft_1K_format.jsonl", 1000, "alpaca"],
    ["sft/sharegpt_zh_1K_format.jsonl", 995, "messages"], // four have an answer of U+200B alone, one an empty question
    ["sft/glaive_toolcall_zh_demo.jsonl", 300, "sharegpt"],
    ["reward/dpo_zh_500.jsonl", 499, "preference"],
    ["reward/toolcall_dpo_zh_demo.jsonl", 11, "preference"],
    ["grpo/sample.jsonl", 32, "prompt"],
  ])("%s has the same %i rows after a conversion to %s in parquet and back", async (file, count, to) => {
    const path = join(shared, "data", file);
    const aside = ["--quarantine", at("aside.jsonl"), "--overwrite"];
    expect((await medgptData("convert", path, "--to", to, "--out", at("there.parquet"), ...aside)).code).toBe(0);
    const back = to === "preference" ? "preference" : "sharegpt";
    expect((await medgptData("convert", at("there.parquet"), "--to", back, "--out", at("back.jsonl"))).code).toBe(0);
    expect((await medgptData("convert", path, "--to", back, "--out", at("direct.jsonl"), ...aside)).code).toBe(0);
    const [direct, returned] = [await readFile(at("direct.jsonl"), "utf8"), await rowsOf(at("back.jsonl"))];
    expect(returned).toHaveLength(count);
    const plain = (rows: DataRow[]): unknown[] => rows.map((row) => ({ ...row, tools: row["tools"] ?? null }));
    expect(plain(returned)).toEqual(
      plain(
        direct
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as DataRow),
      ),
    );
  });
});

describe("medgpt data convert of what people have", () => {
  it("makes the folders that it writes to", async () => {
    await writeFile(at("x.jsonl"), lines(asked, { ...asked, output: null }));
    const { code } = await convert("x.jsonl", "sharegpt", "a/b/out.jsonl", "--quarantine", at("c/bad.jsonl"));
    expect(code).toBe(0);
    expect(await rowsOf(at("a/b/out.jsonl"))).toEqual([conversation]);
    expect(await rowsOf(at("c/bad.jsonl"))).toHaveLength(1);
  });

  it("keeps numbers and names of columns that JavaScript cannot hold as they stand", async () => {
    const extra = '"patient":9223372036854775807,"weight":1e999,"score":1.0,"__proto__":{"n":-0}';
    await writeFile(at("x.jsonl"), `${JSON.stringify(asked).slice(0, -1)},${extra}}\n`);
    for (const [from, to] of [
      ["x.jsonl", "y.jsonl"],
      ["y.jsonl", "z.parquet"],
      ["z.parquet", "w.jsonl"],
    ])
      expect((await convert(from!, "sharegpt", to!)).code).toBe(0);
    const said = `{"conversations":${JSON.stringify(conversation.conversations)},`;
    expect(await readFile(at("y.jsonl"), "utf8")).toBe(`${said}${extra}}\n`);
    const back = extra.replace("1e999", '"1e999"').replace("-0", "0");
    expect((await readFile(at("w.jsonl"), "utf8")).replace('"n":-0', '"n":0')).toBe(`${said}${back}}\n`);
  });

  it("keeps the spelling of numbers in tools and calls", async () => {
    const tools = [{ name: "dose", parameters: { maximum: 1.5, default: 12345678901234567890n } }];
    const text = JSON.stringify(tools, (_, value: unknown) => (typeof value === "bigint" ? "@" : value));
    const row = `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"dose","arguments":{"mg":1.0}}}]},{"role":"tool","content":"ok"},{"role":"assistant","content":"A"}],"tools":${text.replace('"@"', "12345678901234567890")}}\n`;
    await writeFile(at("x.jsonl"), row);
    expect((await convert("x.jsonl", "sharegpt", "y.jsonl")).code).toBe(0);
    const written = await readFile(at("y.jsonl"), "utf8");
    expect(written).toContain(String.raw`\"arguments\":{\"mg\":1.0}`);
    expect(written).toContain(String.raw`\"default\":12345678901234567890`);
  });

  it("puts a row with half of a character aside, and writes none to any file", async () => {
    const half = String.raw`{"instruction":"\ud83e\udd27?","output":"\u559d\u6c34 \ud83d"}`;
    const key = String.raw`{"instruction":"Q","output":"A","\udd27":1}`;
    await writeFile(at("x.jsonl"), `${half}\n${lines(asked)}${key}\n`);
    const { code } = await convert("x.jsonl", "messages", "out.jsonl", "--quarantine", at("bad.jsonl"));
    expect(code).toBe(0);
    expect(await rowsOf(at("bad.jsonl"))).toEqual([
      { place: `${at("x.jsonl")}:1:55`, reason: expect.stringContaining(String.raw`got \ud83d, half of`), text: half },
      { place: `${at("x.jsonl")}:3:34`, reason: expect.stringContaining(String.raw`got \udd27, half of`), text: key },
    ]);
    for (const file of ["out.jsonl", "bad.jsonl"])
      expect((await readFile(at(file), "utf8")).replaceAll("\\\\", "")).not.toMatch(/\\ud/i);
    expect((await convert("x.jsonl", "messages", "out2.jsonl")).stderr).toContain("x.jsonl:1:55: expected Unicode");
  });

  it.each<[string, string, number]>([
    ["is null first", lines({ ...asked, output: null }, asked, asked), 1],
    ["is null in most rows", lines(...Array.from({ length: 5 }, () => ({ ...asked, output: null })), asked), 5],
    ["comes in later rows only", lines({ instruction: "Q" }, asked, asked), 1],
    ["has the wrong type first", lines({ ...asked, output: 5 }, asked), 1],
    ["is in no row that is empty or no object", `{}\nnull\n7\n${lines(asked)}`, 3],
    ["is null beside a question of another format", lines({ ...asked, instruction: null, text: "T" }, asked), 1],
  ])("takes a row for faulty, not for one of another format, where a column %s", async (_, content, refused) => {
    await writeFile(at("x.jsonl"), content);
    const { code, stderr } = await convert("x.jsonl", "sharegpt", "out.jsonl", "--quarantine", at("bad.jsonl"));
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(": alpaca (instruction, output)\n") });
    expect(await rowsOf(at("bad.jsonl"))).toHaveLength(refused);
    expect(await rowsOf(at("out.jsonl"))).toHaveLength(content.trim().split("\n").length - refused);
  });

  it("says how columns should be called", async () => {
    for (const [header, said] of [
      ["问题,回答", "rename 问题 to question, 回答 to answer, and they are qa"],
      ["指令,输入,输出", "rename 指令 to instruction, 输出 to output, and they are alpaca"],
      ["Question, ANSWER", "rename Question to question, ANSWER to answer, and they are qa"],
      ["a,b", "rename them (question and answer; instruction and output;"],
    ]) {
      await writeFile(at("x.csv"), `${header}\n1,2${header!.split(",").length === 3 ? ",3" : ""}\n`);
      expect((await convert("x.csv", "sharegpt", "out.jsonl")).stderr).toContain(said);
    }
  });

  it.skipIf(!existsSync(shared))(
    "reads what spreadsheets wrote, with bad rows in quarantine by the line they begin on",
    async () => {
      const folder = join(shared, "cases/22-csv");
      const quarantined: unknown[] = [];
      for (const file of ["cell", "semicolon", "short"]) {
        const { code } = await medgptData(
          ...["convert", join(folder, `${file}.csv`), "--to", "sharegpt", "--out", at(`${file}.jsonl`)],
          ...["--quarantine", at(`${file}.bad.jsonl`)],
        );
        expect(code).toBe(0);
        if (file !== "semicolon") quarantined.push(...(await rowsOf(at(`${file}.bad.jsonl`))));
      }
      expect(quarantined).toMatchObject([
        { place: join(folder, "cell.csv:2"), reason: expect.stringContaining("got 3 cells") },
        { place: join(folder, "short.csv:3"), reason: expect.stringContaining("got 1 cell;") },
      ]);
      expect(await rowsOf(at("short.jsonl"))).toHaveLength(2);
      expect(await rowsOf(at("semicolon.jsonl"))).toMatchObject([{ conversations: [{}, { value: "喝水；慢慢喝" }] }]);
    },
  );
});
