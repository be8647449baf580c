import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import { readJsonValues } from "../../json/read-json-values.js";
import { readDocuments, type TextDocument } from "./read-documents.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-documents-"));
afterAll(() => rmSync(dir, { recursive: true }));

let count = 0;
function file(extension: "txt" | "jsonl" | "json", content: string | Uint8Array): string {
  const path = join(dir, `${count++}.${extension}`);
  writeFileSync(path, content);
  return path;
}

async function read(
  paths: string[],
  keepLinebreaks = true,
): Promise<{ documents: TextDocument[]; skippedBlank: number; bytesRead: number }> {
  const reader = readDocuments(paths, { keepLinebreaks });
  const documents: TextDocument[] = [];
  for await (const document of reader) documents.push(document);
  return { documents, skippedBlank: reader.skippedBlank, bytesRead: reader.bytesRead };
}

const texts = async (path: string, keepLinebreaks = true): Promise<string[]> =>
  (await read([path], keepLinebreaks)).documents.map(({ text }) => text);

describe("readDocuments", () => {
  it.each([
    ["keeps line breaks, and gives the last line none", "a\nb\nc", true, ["a\n", "b\n", "c"], 0],
    ["drops line breaks", "a\nb\n", false, ["a", "b"], 0],
    ["takes \\r\\n and \\r for \\n", "a\r\nb\rc\r\n", true, ["a\n", "b\n", "c\n"], 0],
    ["skips blank lines and counts them", "\n\na\n\r\n\r\rb\n\n", true, ["a\n", "b\n"], 6],
    ["keeps lines of spaces", " \na", true, [" \n", "a"], 0],
    ["drops a byte order mark, but only at the start", "\ufeffa\n\ufeffb", true, ["a\n", "\ufeffb"], 0],
    ["takes NUL and other separators as text", "a\u0000b\u2028c\u0085d\n", true, ["a\u0000b\u2028c\u0085d\n"], 0],
    ["gives nothing for an empty file", "", true, [], 0],
    ["counts a line of only a byte order mark as blank", "\ufeff\na", true, ["a"], 1],
  ])("%s", async (_, content, keepLinebreaks, expected, blank) => {
    const path = file("txt", content);
    const { documents, skippedBlank, bytesRead } = await read([path], keepLinebreaks);
    expect(documents.map(({ text }) => text)).toEqual(expected);
    expect(skippedBlank).toBe(blank);
    expect(bytesRead).toBe(Buffer.byteLength(content));
  });

  it("reads .jsonl with a byte order mark, CRLF, blank lines, escapes and lone surrogates", async () => {
    const path = file(
      "jsonl",
      '\ufeff{"text": "a\\n"}\r\n\r\n  \n{"id": 1, "text": "\\ud83d \\u0000"}\n{"text": ""}\n{"text":"end"}',
    );
    const { documents, skippedBlank } = await read([path]);
    expect(documents.map(({ text, line }) => [line, text])).toEqual([
      [1, "a\n"],
      [4, "\ud83d \u0000"],
      [6, "end"],
    ]);
    expect(skippedBlank).toBe(3);
  });

  it("reads several files one after the other and tells where each document is", async () => {
    const a = file("txt", "one\n\ntwo\n");
    const b = file("jsonl", '{"text": "three"}');
    expect((await read([a, b])).documents).toMatchObject([
      { text: "one\n", file: a, line: 1 },
      { text: "two\n", file: a, line: 3 },
      { text: "three", file: b, line: 1 },
    ]);
  });

  it("finds the same lines wherever the chunks of the file end", async () => {
    const chunk = 1 << 20;
    for (const at of [chunk - 2, chunk - 1, chunk]) {
      const long = "é".repeat(at / 2).padEnd(at - Math.floor(at / 2), "x");
      expect(await texts(file("txt", `${long}\r\nb\r\rc\n`))).toEqual([`${long}\n`, "b\n", "c\n"]);
      expect(await texts(file("txt", `${long}\r`))).toEqual([`${long}\n`]);
      expect(await texts(file("txt", `${long}\n`))).toEqual([`${long}\n`]);
    }
    const line = "长".repeat(3 * chunk);
    expect(await texts(file("txt", `a\n${line}\nb`), false)).toEqual(["a", line, "b"]);
  });

  it.each<[string, "txt" | "jsonl" | "json", string | Uint8Array, string]>([
    [
      "a byte that is not UTF-8",
      "txt",
      Buffer.from("ok\nh\u00e9llo", "latin1"),
      ':2:2: expected UTF-8, got the byte 0xe9 after "h"; save the file as UTF-8',
    ],
    [
      "a cut character at the end",
      "txt",
      Buffer.from("好").subarray(0, 2),
      ':1:1: expected UTF-8, got the byte 0xe5 after ""; save the file as UTF-8',
    ],
    [
      "an overlong encoding",
      "txt",
      Uint8Array.of(0x61, 0xc0, 0x80),
      ':1:2: expected UTF-8, got the byte 0xc0 after "a"; save the file as UTF-8',
    ],
    [
      "UTF-16",
      "txt",
      Buffer.from("\ufeffab", "utf16le"),
      ':1:1: expected UTF-8, got the byte 0xff after ""; save the file as UTF-8 (it looks like UTF-16: iconv -f utf-16 -t utf-8 FILE > NEW)',
    ],
    [
      "a JSON list",
      "jsonl",
      '[{"text": "a"},\n{"text": "b"}]',
      ":1:1: expected a JSON object on each line, got a list; if the file is one JSON list, give it a name that ends in .json",
    ],
    [
      "malformed JSON",
      "jsonl",
      '{"text": "a"}\n{"text": oops}\n',
      ':2:10: expected a JSON object with a string "text", got oops} here; write each object on one line of its own',
    ],
    [
      "JSON that ends early",
      "jsonl",
      '{"text": "好',
      ':1:12: expected a JSON object with a string "text", got the end of the line here; write each object on one line of its own',
    ],
    [
      "an object over several lines",
      "jsonl",
      '{\n"text": "a"\n}',
      ':1:2: expected a JSON object with a string "text", got the end of the line here; write each object on one line of its own',
    ],
    [
      "no text",
      "jsonl",
      '{"content": "a"}',
      ':1:1: expected a JSON object with a string "text", got {"content": "a"}; name the field "text" or convert the file',
    ],
    [
      "a text that is no string",
      "jsonl",
      '{"text": [1]}',
      ':1:1: expected a JSON object with a string "text", got "text": [1]; name the field "text" or convert the file',
    ],
    [
      "no object",
      "jsonl",
      "[1]",
      ':1:1: expected a JSON object with a string "text", got [1]; name the field "text" or convert the file',
    ],
    [
      "a control character",
      "jsonl",
      '{"text": "a\u0007b"}',
      ':1:12: expected a JSON object with a string "text", got \\u0007b"} here; write each object on one line of its own',
    ],
    [
      "a list that is not JSON",
      "json",
      '[\n  {"text": "一"},\n  {"text": "二", "id": oops}\n]',
      ":3:23: expected JSON, got oops} here; correct the file or write it again",
    ],
    [
      "a list on one line that is not JSON",
      "json",
      '[{"text": "一"}, {"text": oops}]',
      ":1:26: expected JSON, got oops} here; correct the file or write it again",
    ],
    [
      "a list without a comma",
      "json",
      '[{"text": "a"}\n {"text": "b"}]',
      ':2:2: expected , or ], got {"text": "b"}] here; correct the file or write it again',
    ],
    [
      "a list with a comma at its end",
      "json",
      '[{"text": "a"},]',
      ":1:16: expected a JSON value, got ] here; correct the file or write it again",
    ],
    [
      "a list that ends early",
      "json",
      '[{"text": "a"},\n',
      ":2:1: expected a JSON value, got the end of the file here; correct the file or write it again",
    ],
    [
      "an object that ends early",
      "json",
      '[{"text": "a"},\n {"text": "b"',
      ":2:2: expected the end of the JSON value that begins here, got the end of the file; the file is cut off",
    ],
    [
      "text after a list",
      "json",
      '[{"text": "a"}] {"text": "b"}',
      ':1:17: expected the end of the file, got {"text": "b"} here; correct the file or write it again',
    ],
    [
      "a wrong end of an object with a list",
      "json",
      '{"data": [{"text": "a"}],\n "n": }',
      ":2:7: expected JSON, got } here; correct the file or write it again",
    ],
    [
      "an object without a text in a list",
      "json",
      '[{"text": "a"},\n  {"content": "b"}]',
      ':2:3: expected a JSON object with a string "text", got {"content": "b"}; name the field "text" or convert the file',
    ],
    [
      "a number in a list",
      "json",
      "[1, 2]",
      ':1:2: expected a JSON object with a string "text", got 1; name the field "text" or convert the file',
    ],
    [
      "an object with a list under another name",
      "json",
      '{"rows": [{"text": "a"}]}',
      ':1:1: expected a JSON object with a string "text", got {"rows": [{"text": "a"}]}; name the field "text" or convert the file',
    ],
    [
      "a text that is no JSON at all",
      "json",
      "text",
      ":1:1: expected JSON, got text here; correct the file or write it again",
    ],
    [
      "a byte that is not UTF-8 in a list",
      "json",
      Buffer.concat([Buffer.from('[{"text": "a"},\n{"text": "b'), Buffer.from([0xff]), Buffer.from('"}]')]),
      ':2:12: expected UTF-8, got the byte 0xff after "{\\"text\\": \\"b"; save the file as UTF-8'.replaceAll("\\", ""),
    ],
  ])("refuses %s with its place", async (_, extension, content, message) => {
    const path = file(extension, content);
    const failure = await read([path]).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toBe(path + message.replace("FILE", path));
  });

  it.each<[string, string, [line: number, text: string][]]>([
    [
      "a list of objects",
      '\ufeff [ {"text": "a"},\n{"id": [1, {"text": "x"}], "text": "b]\\"}"} ,\n\n {"text": ""}, {"text": "好"}]\n',
      [
        [1, "a"],
        [2, 'b]"}'],
        [4, "好"],
      ],
    ],
    [
      "a list of strings",
      '["a", "b\\n",\n"]"]',
      [
        [1, "a"],
        [1, "b\n"],
        [2, "]"],
      ],
    ],
    ["an empty list", "[]", []],
    ["nothing", " \n", []],
    [
      "an object whose data is a list",
      '{"data": [\n{"text": "a"},\n{"text": "b"}]}',
      [
        [2, "a"],
        [3, "b"],
      ],
    ],
    [
      "an object whose data come between other keys",
      '{"version": {"data": [1]}, "n":\n[2], "data" : [{"text": "a"}, {"text": "b"}], "more": {"x": [3]}}\n',
      [
        [2, "a"],
        [2, "b"],
      ],
    ],
    ["one object", '{\n  "text": "a",\n  "data": [1]\n}', [[1, "a"]]],
    [
      "lines",
      '{"text": "a"}\n\n{"text": "b", "data": [1]}\n',
      [
        [1, "a"],
        [3, "b"],
      ],
    ],
    [
      "objects over several lines",
      '{\n"text": "a"\n}\n{\n"text": "b"}',
      [
        [1, "a"],
        [4, "b"],
      ],
    ],
  ])("reads %s from .json", async (_, content, expected) => {
    const { documents, bytesRead } = await read([file("json", content)]);
    expect(documents.map(({ line, text }) => [line, text])).toEqual(expected);
    expect(bytesRead).toBe(Buffer.byteLength(content));
  });

  it("finds the same values of .json wherever the chunks of the file end", async () => {
    const source = '{"a": 1, "data": [{"text": "é\\"]"}, "s\\\\", {"text": "长"}], "b": [2]}';
    for (let size = 1; size < 20; size++) {
      const bytes = Buffer.from(source);
      const chunks = async function* () {
        for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
      };
      const values: unknown[] = [];
      for await (const { value, line, column } of readJsonValues(chunks(), "f")) values.push([value, line, column]);
      expect(values).toEqual([
        [{ text: 'é"]' }, 1, 19],
        ["s\\", 1, 37],
        [{ text: "长" }, 1, 44],
      ]);
    }
  });

  it("goes on from the position of any document as it went on before", async () => {
    const files = [
      file("txt", "\ufeffone\r\n\r\nt\u00e9o\rthree\n\nfour"),
      file("jsonl", '\ufeff{"text": "five"}\n\n{"text": "six"}\r\n{"text": "好"}'),
      file("json", '[{"text": "seven"}, {"text": ""}, {"text": "eight"}]'),
    ];
    const all = (await read(files)).documents;
    expect(all).toHaveLength(9);
    for (const [index, { position }] of all.entries()) {
      const rest: TextDocument[] = [];
      for await (const document of readDocuments(files, { keepLinebreaks: true, from: position })) rest.push(document);
      expect(rest).toEqual(all.slice(index));
    }
  });

  it("refuses a file that is not there", async () => {
    await expect(read([join(dir, "none.txt")])).rejects.toBeInstanceOf(InputError);
  });
});
