import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import { answerLine, continueAnswers, readPrompts } from "./answers-file.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-answers-"));
afterAll(() => rmSync(root, { recursive: true }));
let files = 0;

function write(content: string | Buffer): string {
  const file = join(root, `${++files}.txt`);
  writeFileSync(file, content);
  return file;
}

describe("a file of prompts", () => {
  it.each<[string, string | Buffer, string[]]>([
    ["a byte order mark and CRLF", "\uFEFFIs salt bad?\r\ntwo\r\n", ["Is salt bad?", "two"]],
    ["a lone CR", "top\rbottom\nlast", ["top\rbottom", "last"]],
    ["other line separators", "a\u2028b\u0085c\fd\n", ["a\u2028b\u0085c\fd"]],
    ["blank lines and outer blanks", "\n  \n one \n\u3000\n", [" one "]],
  ])("is read as training reads text: %s", async (_, content, prompts) => {
    expect((await readPrompts(write(content))).map(({ text }) => text)).toEqual(prompts);
  });

  it("knows the lines that its prompts are on", async () => {
    const file = write("\none\n\n两\n");
    expect((await readPrompts(file)).map(({ place }) => place)).toEqual([`${file}:2`, `${file}:4`]);
  });

  it.each<[string, Buffer, string]>([
    ["GBK", Buffer.from([0x61, 0x0a, 0x62, 0xb7, 0xd4]), ":2:2: expected UTF-8, got the byte 0xb7"],
    ["UTF-16 with its mark", Buffer.from("\uFEFF头晕", "utf16le"), ":1:1: expected UTF-8, got the byte 0xff"],
    ["UTF-16 without", Buffer.from("one\ntwo\n", "utf16le"), ": expected text in UTF-8, but this is text in UTF-16"],
    ["a torn character", Buffer.from("头晕").subarray(0, 5), ':1:2: expected UTF-8, got the byte 0xe6 after "头"'],
    ["nothing", Buffer.from("\n \n"), ": expected a prompt in each line, got none"],
  ])("is refused with its place: %s", async (_, content, message) => {
    const file = write(content);
    await expect(readPrompts(file)).rejects.toThrow(file + message);
  });
});

describe("a file of answers that is gone on with", () => {
  const prompts = ["one", '两 "quoted" \\ text', "three"].map((text, line) => ({ text, place: `p:${line + 1}` }));
  const whole = prompts.map(({ text }) => answerLine(text, 'An answer\n"头晕" \\u0041.'));

  async function go(content: string | Buffer) {
    const file = write(content);
    const said: string[] = [];
    try {
      const done = await continueAnswers(file, prompts, (text) => said.push(text));
      return { done, said, left: readFileSync(file, "utf8") };
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
      expect(readFileSync(file)).toEqual(Buffer.from(content));
      return { refused: (error as Error).message.replace(file, "FILE") };
    }
  }

  it("is made with its folder where there is none", async () => {
    const file = join(root, "new", "deep", "answers.jsonl");
    expect(await continueAnswers(file, prompts, () => {})).toBe(0);
    expect(readFileSync(file, "utf8")).toBe("");
    await expect(continueAnswers(root, prompts, () => {})).rejects.toThrow("expected a file for answers, got a folder");
  });

  it.each<[string, string, number]>([
    ["empty", "", 0],
    ["two answers", whole.slice(0, 2).join(""), 2],
    ["all of them", whole.join(""), 3],
    ["Python's JSON", '{"Output": "x", "Input": "one", "Model": "m"}\r\n', 1],
  ])("counts whole answers: %s", async (_, content, done) => {
    expect(await go(content)).toEqual({ done, said: [], left: content });
  });

  it("is cut back to its last whole line, wherever it is torn", async () => {
    const line = Buffer.from(whole[1]!);
    for (let length = 1; length < line.length - 1; length++) {
      const { done, said, left } = await go(Buffer.concat([Buffer.from(whole[0]!), line.subarray(0, length)]));
      expect({ length, done, left }).toEqual({ length, done: 1, left: whole[0] });
      expect(said).toEqual([expect.stringMatching(/:2: this line is not whole; it is cut off/)]);
    }
  });

  it("keeps a last answer that lacks its line break alone", async () => {
    expect(await go(whole.join("").slice(0, -1))).toEqual({ done: 3, said: [], left: whole.join("") });
    expect(await go(whole[0]!.slice(0, -1))).toMatchObject({ done: 1, left: whole[0] });
  });

  it.each<[string, string]>([
    ["my notes", "FILE:1: this is not the answer"],
    ['{"Input":"other","Out', "FILE:1: this is not the answer"],
    ['{"Input":"one","Output":"x"} and my notes', "FILE:1: this is not the answer"],
    [whole[0]! + '{"Inp\n', "FILE:2: this is not the answer"],
    [whole[0]! + "\n" + whole[1]!, "FILE:2: this is not the answer"],
    ['{"Input":"one"}\n', "FILE:1: this is not the answer"],
    [whole[1]! + whole[0]!, "FILE:1: this is not the answer"],
    [whole.join("") + "{}\n", "FILE:4: there are more answers than the 3 prompts; give another --output_file"],
    [whole.join("") + '{"Inp', "FILE:4: there are more answers than the 3 prompts"],
  ])("is refused and stays as it is where it holds anything else: %j", async (content, message) => {
    expect(await go(content)).toEqual({ refused: expect.stringContaining(message) });
  });
});
