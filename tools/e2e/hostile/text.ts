import { mkdir, symlink } from "node:fs/promises";
import { DEEP, link, pipe, sparse, type HostileCase } from "./sandbox.js";

const text = (what: string, name: string, data: string | Uint8Array, error: string | RegExp): HostileCase => ({
  what,
  flags: (box) => box.text(name, data),
  error,
});
const jsonl = (what: string, line: string, at: string, got: string | RegExp): HostileCase =>
  text(
    `a line of .jsonl ${what}`,
    "a.jsonl",
    `{"text": "one"}\n${line}\n`,
    typeof got === "string"
      ? `%s/text/a.jsonl:${at}: expected a JSON object with a string "text", got ${got}`
      : new RegExp(`^%s/text/a\\.jsonl:${at}: ${got.source}`),
  );
const RENAME = '; name the field "text" or convert the file';
const ONE_LINE = " here; write each object on one line of its own";
const special = (what: string, make: (path: string) => Promise<unknown>, error: string | RegExp): HostileCase => ({
  what: `a file of text that ${what}`,
  flags: async (box) => {
    await mkdir(box.at("text"));
    await make(box.at("text/a.txt"));
    return { train_file_dir: box.at("text") };
  },
  error,
});

export const texts: readonly HostileCase[] = [
  {
    what: "a folder of text that is not there",
    flags: (box) => ({ train_file_dir: box.at("none") }),
    error: "%s/none: expected a folder with .txt, .jsonl, .json or .parquet files, but there is no such folder",
    process: true,
  },
  {
    what: "an empty folder of text",
    flags: async (box) => {
      await mkdir(box.at("empty"));
      return { train_file_dir: box.at("empty") };
    },
    error: /^%s\/empty: expected a folder with .* files, but it is empty$/,
  },
  {
    what: "a folder of text that has itself inside",
    flags: async (box) => {
      await mkdir(box.at("text"));
      await symlink(".", box.at("text/again"));
      return { train_file_dir: box.at("text") };
    },
    error: /^%s\/text: expected a folder with .* files, but it is empty$/,
  },
  {
    what: "a file in place of the folder of text",
    flags: async (box) => {
      await box.text("a.txt", "text");
      return { train_file_dir: box.at("text/a.txt") };
    },
    error: /^%s\/text\/a.txt: expected a folder with .* files, but this is a file$/,
  },
  text(
    "a folder of other files",
    "a.pdf",
    "%PDF",
    /^%s\/text: expected a folder with .* files, but it has only 1 other file$/,
  ),
  text("text of no bytes", "a.txt", "", /^%s\/text\/a.txt: expected text, but there is none in a.txt: 0 blank lines$/),
  text(
    "text of blank lines",
    "a.txt",
    "\n\r\n\r\n",
    /^%s\/text\/a.txt: expected text, but there is none in a.txt: 3 blank lines$/,
  ),
  text(
    "bytes that are not UTF-8",
    "a.txt",
    Buffer.from("one\ntwo \xff\n", "latin1"),
    '%s/text/a.txt:2:5: expected UTF-8, got the byte 0xff after "two "; save the file as UTF-8',
  ),
  text(
    "text in UTF-16",
    "a.txt",
    Buffer.from("\uFEFFone\n", "utf16le"),
    '%s/text/a.txt:1:1: expected UTF-8, got the byte 0xff after ""; save the file as UTF-8 (it looks like UTF-16: iconv -f utf-16 -t utf-8 %s/text/a.txt > NEW)',
  ),
  text(
    "text in GBK",
    "a.txt",
    Buffer.from([0xc4, 0xe3, 0xba, 0xc3, 10]),
    '%s/text/a.txt:1:1: expected UTF-8, got the byte 0xc4 after ""; save the file as UTF-8 (it looks like GBK: iconv -f gbk -t utf-8 %s/text/a.txt > NEW)',
  ),
  text(
    "text that ends within a character",
    "a.txt",
    Buffer.from("发烧").subarray(0, 5),
    /^%s\/text\/a.txt:1:2: expected UTF-8, got the byte 0xe7 after "发"/,
  ),
  text(
    "text with an overlong character",
    "a.txt",
    Buffer.from([0x61, 0xc0, 0xaf, 10]),
    '%s/text/a.txt:1:2: expected UTF-8, got the byte 0xc0 after "a"; save the file as UTF-8',
  ),
  text(
    "text that is compressed",
    "a.txt",
    Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]),
    "%s/text/a.txt: expected text in UTF-8, but this is a gzip archive; unpack it first: gunzip -c %s/text/a.txt > NEW",
  ),
  text(
    "a .jsonl that is not UTF-8",
    "a.jsonl",
    Buffer.from('{"text": "\xe9"}\n', "latin1"),
    /^%s\/text\/a.jsonl:1:11: expected UTF-8, got the byte 0xe9/,
  ),
  text(
    "a .jsonl of blank lines",
    "a.jsonl",
    "\n \n",
    /^%s\/text\/a.jsonl: expected text, but there is none in a.jsonl: 2 blank lines$/,
  ),
  text("a .jsonl of empty texts", "a.jsonl", '{"text": ""}\n', /^%s\/text\/a.jsonl: expected text, but there is none/),
  { ...jsonl("that is not JSON", '{"text": two}', "2:10", `two}${ONE_LINE}`), process: true },
  jsonl("that was cut short", '{"text": "tw', "2:13", `the end of the line${ONE_LINE}`),
  jsonl("that is a list", '["two"]', "2:1", `["two"]${RENAME}`),
  jsonl("that is null", "null", "2:1", `null${RENAME}`),
  jsonl("that is a number", "2", "2:1", `2${RENAME}`),
  jsonl("without a text", '{"content": "two"}', "2:1", `{"content": "two"}${RENAME}`),
  jsonl("whose text is a number", '{"text": 2}', "2:1", `"text": 2${RENAME}`),
  jsonl("whose text is null", '{"text": null}', "2:1", `"text": null${RENAME}`),
  jsonl("whose text is a list", '{"text": ["two"]}', "2:1", `"text": ["two"]${RENAME}`),
  jsonl(
    "whose text is nested 100,000 levels deep",
    `{"text": ${DEEP}}`,
    "2:1",
    /expected a JSON object with a string "text", got "text": .{1,80}; name the field/,
  ),
  jsonl("with a raw control character", '{"text": "\u0001"}', "2:11", `\\u0001"}${ONE_LINE}`),
  jsonl("with two objects", '{"text": "a"} {"text": "b"}', "2:15", `{"text": "b"}${ONE_LINE}`),
  text(
    "a .jsonl that is one indented object",
    "a.jsonl",
    '{\n  "text": "one"\n}\n',
    /^%s\/text\/a.jsonl:1:2: expected a JSON object .* got the end of the line here/,
  ),
  text(
    "a .jsonl that is a list over all lines",
    "a.jsonl",
    '[{"text": "one"},\n{"text": "two"}]\n',
    /^%s\/text\/a.jsonl:1:1: expected a JSON object on each line, got a list; .* that ends in .json$/,
  ),
  special("is a pipe", pipe, "%s/text/a.txt: expected a file of text, but this is a pipe or device"),
  special(
    "is a device without end",
    (path) => link(path, "/dev/zero"),
    "%s/text/a.txt: expected a file of text, but this is a pipe or device",
  ),
  special(
    "links to nothing",
    (path) => link(path, "nowhere.txt"),
    "%s/text/a.txt: is a link to nothing; remove or repair it",
  ),
  special("links to itself", (path) => link(path, "a.txt"), "%s/text/a.txt: is a link to nothing; remove or repair it"),
  special(
    "is a line of 300 MB",
    (path) => sparse(path, 300_000_000),
    "%s/text/a.txt: cannot be read (a line is longer than 268435456 bytes: split its text)",
  ),
  {
    what: "malformed text to evaluate on",
    flags: async (box) => {
      const { train_file_dir } = await box.text("a.jsonl", "[1, 2\n");
      return { do_eval: true, validation_file_dir: train_file_dir };
    },
    error: /^%s\/text\/a.jsonl:1:6: expected a JSON object with a string "text", got the end of the line/,
  },
  {
    what: "too little text to set any aside",
    flags: async (box) => ({ ...(await box.text("a.txt", "one line only\n")), do_eval: true }),
    error: /^(no document to evaluate on|.*--do_train: no document is left to train on)/,
  },
];
