import { copyFile, rm, writeFile } from "node:fs/promises";
import { DEEP, folder, link, pipe, type HostileCase, type Sandbox } from "./sandbox.js";

const FILE = "%s/adapter/medgpt.json";
const WEIGHTS = "adapter_model.safetensors";

type Manifest = Parameters<Exclude<Parameters<Sandbox["manifest"]>[0], string>>[0];
const text = (what: string, data: string, error: string | RegExp): HostileCase => ({
  what: `a manifest ${what}`,
  flags: (box) => box.manifest(data),
  error,
});
const manifest = (what: string, change: (manifest: Manifest) => unknown, error: string | RegExp): HostileCase => ({
  what: `a manifest ${what}`,
  flags: (box) => box.manifest(change),
  error,
});
/** One that lists a file of this name. */
const name = (listed: string, error: RegExp): HostileCase =>
  manifest(
    `that lists ${JSON.stringify(listed.slice(0, 40))}`,
    // Not by assignment, which for __proto__ is something else.
    ({ files }) => Object.defineProperty(files, listed, { value: files[WEIGHTS], enumerable: true }),
    error,
  );
const sealed = (
  what: string,
  change: (at: (file: string) => string) => Promise<unknown>,
  error: string | RegExp,
): HostileCase => ({
  what: `a sealed adapter ${what}`,
  flags: (box) => box.adapter(change, true),
  error,
});
const ESCAPE = /does not name a file inside the folder$/;

export const manifests: readonly HostileCase[] = [
  text("of no bytes", "", new RegExp(`^${FILE}: expected JSON, but`)),
  text("cut short", '{"medgpt": 1,\n "kind": "adap', new RegExp(`^${FILE}: expected JSON, but`)),
  text("that is a list", "[]", `${FILE}: expected a JSON object`),
  text(
    "nested 100,000 levels deep",
    `{"medgpt": ${DEEP}}`,
    `${FILE}: expected JSON of at most 200 levels, but it is nested deeper`,
  ),
  text(
    "in UTF-16",
    Buffer.from('{"medgpt": 1}', "utf16le").toString("latin1"),
    /^%s\/adapter\/medgpt.json: expected JSON/,
  ),
  manifest(
    "of a later version",
    (m) => (m.medgpt = 2),
    `${FILE}: expected manifest version 1, found 2; update @medgpt`,
  ),
  manifest(
    "of a version in quotes",
    (m) => (m.medgpt = "1"),
    `${FILE}: expected manifest version 1, found "1"; update @medgpt`,
  ),
  manifest(
    "of an unknown kind",
    (m) => (m.kind = "virus"),
    new RegExp(`^${FILE}: "kind" is "virus"; expected one of tokenizer`),
  ),
  manifest(
    "of the kind constructor",
    (m) => (m.kind = "constructor"),
    new RegExp(`^${FILE}: "kind" is "constructor"; expected one of`),
  ),
  manifest(
    "of another kind",
    (m) => Object.assign(m, { kind: "tokenizer", details: { vocabSize: 1, addedTokens: 0 } }),
    "%s/adapter: expected an adapter, found a tokenizer",
  ),
  manifest("without details", (m) => (m.details = null), `${FILE}: "details" is not an object`),
  manifest(
    "with a rank in quotes",
    (m) => ((m.details as { rank: unknown }).rank = "8"),
    `${FILE}: "details.rank" is not as a adapter has it`,
  ),
  manifest("with inputs that are an object", (m) => (m.inputs = {}), `${FILE}: "inputs" is not as a manifest has it`),
  manifest(
    "without files",
    (m) => (m.files = [] as unknown as Manifest["files"]),
    `${FILE}: "files" is not as a manifest has it`,
  ),
  manifest(
    "with a digest that is none",
    (m) => (m.files[WEIGHTS]!.sha256 = "0"),
    `${FILE}: "files" is not as a manifest has it`,
  ),
  manifest(
    "with a negative size",
    (m) => (m.files[WEIGHTS]!.bytes = -1),
    `${FILE}: "files" is not as a manifest has it`,
  ),
  manifest(
    "with another size",
    (m) => (m.files[WEIGHTS]!.bytes = 1),
    /^%s\/adapter\/adapter_model.safetensors: has \d+ bytes; the manifest says 1, so it was cut short or changed$/,
  ),
  manifest(
    "with another digest",
    (m) => (m.files[WEIGHTS]!.sha256 = "0".repeat(64)),
    /^%s\/adapter\/adapter_model.safetensors: its bytes are not those that the manifest lists/,
  ),
  manifest(
    "that leaves out the weights",
    (m) => delete m.files[WEIGHTS],
    /^%s\/adapter: a adapter needs adapter_model.safetensors, and it is not among the artifact's files$/,
  ),
  name(
    "nothing.txt",
    /^%s\/adapter\/nothing.txt: expected this file, and it is not there; the artifact is incomplete$/,
  ),
  name("../adapter/adapter_model.safetensors", ESCAPE),
  name("/etc/passwd", ESCAPE),
  name("a\\..\\..\\b", ESCAPE),
  name("c:b", ESCAPE),
  name("a//b", ESCAPE),
  name("a\0b", ESCAPE),
  name("", ESCAPE),
  name("medgpt.json", ESCAPE),
  name("__proto__", /expected this file, and it is not there/),
  name("x".repeat(5000), /expected this file, and it is not there/),
  sealed(
    "whose weights link out of the folder",
    async (at) => {
      await copyFile(at(WEIGHTS), at("../outside.safetensors"));
      await link(at(WEIGHTS), "../outside.safetensors");
    },
    /^%s\/adapter\/adapter_model.safetensors: is a link to .*outside.safetensors, out of the folder; put the file itself there$/,
  ),
  sealed(
    "whose weights are a device",
    (at) => link(at(WEIGHTS), "/dev/zero"),
    /adapter_model.safetensors: expected this file, and it is not there/,
  ),
  sealed(
    "with a file that was changed",
    (at) => writeFile(at("README.md"), " ", { flag: "a" }),
    /^%s\/adapter\/README.md: has \d+ bytes; the manifest says \d+, so it was cut short or changed$/,
  ),
  sealed(
    "without one of its files",
    (at) => rm(at("README.md")),
    /^%s\/adapter\/README.md: expected this file, and it is not there/,
  ),
  sealed(
    "whose manifest is a folder",
    (at) => folder(at("medgpt.json")),
    `${FILE}: expected a file, but this is a folder`,
  ),
  {
    ...sealed(
      "whose manifest is a pipe",
      (at) => pipe(at("medgpt.json")),
      `${FILE}: expected a file, but this is a pipe or device`,
    ),
    process: true,
  },
  sealed(
    "whose manifest links to nothing",
    (at) => link(at("medgpt.json"), "nowhere"),
    new RegExp(`^${FILE}: expected JSON, but`),
  ),
];
