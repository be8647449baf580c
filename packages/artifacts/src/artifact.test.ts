import { createHash } from "node:crypto";
import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ArtifactError,
  InputError,
  artifactRef,
  openArtifact,
  openDataset,
  openRef,
  sealArtifact,
  writeArtifact,
  type ArtifactErrorFields,
  type ArtifactKind,
  type Manifest,
} from "./index.js";
import {
  safetensorsBytes,
  tinyAdapter,
  tinyCausalLm,
  tinyDataset,
  tinyRewardModel,
  tinyTensor,
  tinyTokenizer,
} from "./testing/index.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "medgpt-"));
});
afterEach(() => rm(root, { recursive: true }));

const at = (...parts: string[]) => join(root, ...parts);
const createdBy = { package: "@medgpt/test", version: "1.2.3", config: { seed: 1 } };

/** The ArtifactError that a promise is rejected with. */
async function refusal(promise: Promise<unknown>): Promise<ArtifactError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ArtifactError);
  return error as ArtifactError;
}

/** Changes medgpt.json of a folder. */
async function editManifest(dir: string, edit: (manifest: Record<string, unknown> & Manifest) => void): Promise<void> {
  const path = join(dir, "medgpt.json");
  const manifest = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown> & Manifest;
  edit(manifest);
  await writeFile(path, JSON.stringify(manifest));
}

/** Flips one bit of a byte, so that the size stays as it is. */
async function flipByte(path: string, position: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[position]! ^= 1;
  await writeFile(path, bytes);
}

async function expectRefusal(promise: Promise<unknown>, fields: Partial<ArtifactErrorFields>): Promise<void> {
  expect(await refusal(promise)).toMatchObject(fields);
}

describe("openArtifact", () => {
  it("opens each kind that was written, with the details it was written with", async () => {
    const model = await tinyCausalLm(at("model"));
    const written = {
      tokenizer: await tinyTokenizer(at("tokenizer")),
      dataset: await tinyDataset(at("dataset"), "preference"),
      "causal-lm": model,
      adapter: await tinyAdapter(at("adapter"), model),
      "reward-model": await tinyRewardModel(at("reward")),
    };
    for (const [kind, artifact] of Object.entries(written)) {
      expect(await openArtifact(artifact.dir, kind as ArtifactKind)).toEqual(artifact);
      expect(artifact.inferred).toBe(false);
    }
  });

  it("says which kind it expected and which it found", async () => {
    const { dir } = await tinyCausalLm(at("model"));
    const error = await refusal(openArtifact(dir, ["adapter", "reward-model"]));
    expect(error).toMatchObject({
      reason: "wrong-kind",
      expectedKind: ["adapter", "reward-model"],
      foundKind: "causal-lm",
      path: dir,
    });
    expect(error.message).toBe(`${dir}: expected an adapter or a reward model, found a model`);
    expect(InputError.isInstance(error) && error.userError).toBe(true);
  });

  it("refuses a folder that is not there, a file and an empty folder", async () => {
    await expectRefusal(openArtifact(at("nothing"), "dataset"), { reason: "missing", path: at("nothing") });
    await writeFile(at("file"), "");
    await expectRefusal(openArtifact(at("file"), "dataset"), { reason: "missing" });
    await mkdir(at("empty"));
    await expectRefusal(openArtifact(at("empty"), "dataset"), { reason: "unrecognised" });
  });

  it("refuses a file with one bit changed", async () => {
    const { dir } = await tinyCausalLm(at("model"));
    const { size } = await stat(join(dir, "model.safetensors"));
    await flipByte(join(dir, "model.safetensors"), size - 1);
    await expectRefusal(openArtifact(dir, "causal-lm"), { reason: "digest", path: dir, file: "model.safetensors" });
  });

  it("notices a change that follows a successful opening at once, with the size unchanged", async () => {
    const { dir } = await tinyDataset(at("data"), "text");
    await openArtifact(dir, "dataset");
    await flipByte(join(dir, "train.jsonl"), 12);
    await expectRefusal(openArtifact(dir, "dataset"), { reason: "digest", file: "train.jsonl" });
  });

  it("looks no further than sizes when asked to", async () => {
    const { dir } = await tinyDataset(at("data"), "text");
    await flipByte(join(dir, "train.jsonl"), 12);
    await openArtifact(dir, "dataset", { verify: "size" });
    await appendFile(join(dir, "train.jsonl"), "\n");
    await expectRefusal(openArtifact(dir, "dataset", { verify: "size" }), { reason: "size", file: "train.jsonl" });
  });

  it("refuses a file that was cut short, before it hashes anything", async () => {
    const { dir } = await tinyCausalLm(at("model"));
    await truncate(join(dir, "model.safetensors"), 1000);
    const hashed: number[] = [];
    const opening = openArtifact(dir, "causal-lm", { onProgress: (done) => hashed.push(done) });
    await expectRefusal(opening, { reason: "size", file: "model.safetensors" });
    expect(hashed).toEqual([]);
  });

  it("refuses a folder from which a listed file is gone", async () => {
    const { dir } = await tinyTokenizer(at("tokenizer"));
    await rm(join(dir, "tokenizer_config.json"));
    await expectRefusal(openArtifact(dir, "tokenizer"), { reason: "missing", file: "tokenizer_config.json" });
  });

  it("refuses a manifest that does not list what its kind needs", async () => {
    const { dir } = await tinyCausalLm(at("model"));
    await editManifest(dir, (manifest) => delete manifest.files["model.safetensors"]);
    await expectRefusal(openArtifact(dir, "causal-lm"), { reason: "missing", expectedKind: ["causal-lm"] });
    const data = await tinyDataset(at("data"), "chat");
    await editManifest(data.dir, (manifest) => delete manifest.files["validation.jsonl"]);
    await expectRefusal(openArtifact(data.dir, "dataset"), { reason: "missing" });
  });

  it.each([
    "../secret.txt",
    "/etc/hostname",
    "a/../../secret.txt",
    "./train.jsonl",
    "a//b",
    "",
    "..\\secret.txt",
    "C:\\x",
    "medgpt.json",
  ])("refuses a manifest that lists %j", async (name) => {
    await writeFile(at("secret.txt"), "secret");
    const { dir } = await tinyDataset(at("data"), "text");
    const sha256 = createHash("sha256").update("secret").digest("hex");
    await editManifest(dir, (manifest) => (manifest.files[name] = { bytes: 6, sha256 }));
    await expectRefusal(openArtifact(dir, "dataset"), { reason: "path-escape", path: dir, file: name });
  });

  it("refuses a link that leads out of the folder, as a file or as a folder on the way", async () => {
    const { dir } = await tinyDataset(at("data"), "text");
    await rename(join(dir, "train.jsonl"), at("elsewhere.jsonl"));
    await symlink(at("elsewhere.jsonl"), join(dir, "train.jsonl"));
    await expectRefusal(openArtifact(dir, "dataset"), { reason: "path-escape", file: "train.jsonl" });

    const other = await tinyDataset(at("other"), "text");
    await mkdir(at("outside"));
    await writeFile(at("outside", "x"), "");
    await symlink(at("outside"), join(other.dir, "inner"));
    await editManifest(other.dir, (manifest) => {
      manifest.files["inner/x"] = { bytes: 0, sha256: createHash("sha256").digest("hex") };
    });
    await expectRefusal(openArtifact(other.dir, "dataset"), { reason: "path-escape", file: "inner/x" });
  });

  it("opens a folder that is itself reached through a link, and a link inside it", async () => {
    const { dir, digest } = await tinyDataset(at("data"), "text");
    await rename(join(dir, "train.jsonl"), join(dir, "stored.jsonl"));
    await symlink("stored.jsonl", join(dir, "train.jsonl"));
    await symlink(dir, at("link"));
    expect((await openArtifact(at("link"), "dataset")).digest).toBe(digest);
  });

  it("follows the links of a Hugging Face cache snapshot into its blobs and nowhere else", async () => {
    const { dir, digest } = await tinyTokenizer(at("tokenizer"));
    const snapshot = at("models--a--b", "snapshots", "abc");
    await mkdir(snapshot, { recursive: true });
    await mkdir(at("models--a--b", "blobs"));
    for (const file of await readdir(dir)) {
      await rename(join(dir, file), at("models--a--b", "blobs", `blob-${file}`));
      await symlink(`../../blobs/blob-${file}`, join(snapshot, file));
    }
    expect((await openArtifact(snapshot, "tokenizer")).digest).toBe(digest);
    // A blob that repositories of the cache share.
    await mkdir(at("blobs"));
    await rename(at("models--a--b", "blobs", "blob-tokenizer.json"), at("blobs", "shared"));
    await symlink("../../blobs/shared", at("models--a--b", "blobs", "blob-tokenizer.json"));
    expect((await openArtifact(snapshot, "tokenizer")).digest).toBe(digest);
    await rename(at("blobs", "shared"), at("models--a--b", "moved"));
    await rm(join(snapshot, "tokenizer.json"));
    await symlink("../../moved", join(snapshot, "tokenizer.json"));
    await expectRefusal(openArtifact(snapshot, "tokenizer"), { reason: "path-escape", file: "tokenizer.json" });
  });

  it("refuses another manifest version, an unknown kind and a manifest cut short", async () => {
    const { dir } = await tinyTokenizer(at("tokenizer"));
    const path = join(dir, "medgpt.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"medgpt": 1', '"medgpt": 2'));
    await expectRefusal(openArtifact(dir, "tokenizer"), { reason: "manifest-version", file: "medgpt.json" });
    await writeFile(path, text.replace('"kind": "tokenizer"', '"kind": "constructor"'));
    await expectRefusal(openArtifact(dir, "tokenizer"), { reason: "bad-manifest" });
    await writeFile(path, text.slice(0, text.length / 2));
    await expectRefusal(openArtifact(dir, "tokenizer"), { reason: "bad-manifest", file: "medgpt.json" });
    await writeFile(path, "null");
    await expectRefusal(openArtifact(dir, "tokenizer"), { reason: "bad-manifest" });
  });

  it("names the field of a manifest that is not as it should be", async () => {
    const edits: [string, (manifest: Record<string, unknown> & Manifest) => void][] = [
      ['"details.rank"', (manifest) => ((manifest.details as { rank: unknown }).rank = "8")],
      ['"details.base"', (manifest) => ((manifest.details as { base: unknown }).base = null)],
      ['"inputs"', (manifest) => (manifest["inputs"] = [{ kind: "causal-lm", path: "x", digest: "123" }] as never)],
      ['"inputs"', (manifest) => ((manifest.inputs[0] as { hub?: unknown }).hub = { id: "org/name" })],
      ['"files"', (manifest) => (manifest.files["adapter_config.json"]!.bytes = -1)],
      ['"createdBy"', (manifest) => delete (manifest as Partial<Manifest>).createdBy],
      ['"details"', (manifest) => delete (manifest as Partial<Manifest>).details],
    ];
    const { dir } = await tinyAdapter(at("adapter"), await tinyCausalLm(at("model")));
    const text = await readFile(join(dir, "medgpt.json"), "utf8");
    for (const [field, edit] of edits) {
      await writeFile(join(dir, "medgpt.json"), text);
      await editManifest(dir, edit);
      const error = await refusal(openArtifact(dir, "adapter"));
      expect(error.reason).toBe("bad-manifest");
      expect(error.message).toContain(field);
    }
  });

  it("reports progress up to the sum of all sizes", async () => {
    const { dir, manifest } = await tinyCausalLm(at("model"));
    const total = Object.values(manifest.files).reduce((sum, { bytes }) => sum + bytes, 0);
    const reports: [number, number][] = [];
    await openArtifact(dir, "causal-lm", { onProgress: (...report) => reports.push(report) });
    expect(reports.length).toBeGreaterThanOrEqual(Object.keys(manifest.files).length);
    expect(reports.at(-1)).toEqual([total, total]);
  });

  it("hashes a settled file once, and again when its time changes", async () => {
    const { dir } = await tinyDataset(at("data"), "text");
    const train = join(dir, "train.jsonl");
    const long = new Date(Date.now() - 60_000);
    await utimes(train, long, long);
    await openArtifact(dir, "dataset");
    await flipByte(train, 12);
    await utimes(train, long, long);
    // Same inode, size and time: only the kept digest makes this pass.
    await openArtifact(dir, "dataset");
    await utimes(train, long, new Date(Date.now() - 30_000));
    await expectRefusal(openArtifact(dir, "dataset"), { reason: "digest", file: "train.jsonl" });
  });
});

describe("openDataset", () => {
  it("gives the dataset of the format asked for and refuses another", async () => {
    const { dir } = await tinyDataset(at("data"), "preference");
    expect((await openDataset(dir, ["chat", "preference"])).manifest.details.format).toBe("preference");
    await expectRefusal(openDataset(dir, "chat"), {
      reason: "wrong-format",
      expectedFormat: ["chat"],
      foundFormat: "preference",
    });
  });
});

describe("a plain folder without a manifest", () => {
  /** The artifact's folder without its manifest. */
  async function plain(dir: string): Promise<string> {
    await rm(join(dir, "medgpt.json"));
    return dir;
  }

  it("has its kind and details inferred", async () => {
    const model = await tinyCausalLm(at("model"));
    const adapter = await tinyAdapter(at("adapter"), model);
    const reward = await tinyRewardModel(at("reward"));
    const tokenizer = await tinyTokenizer(at("tokenizer"));
    for (const { dir, kind, manifest } of [model, reward, tokenizer]) {
      const opened = await openArtifact(await plain(dir), kind);
      expect(opened).toMatchObject({ kind, inferred: true, manifest: { createdBy: null, details: manifest.details } });
      expect(opened.manifest.files).toEqual(manifest.files);
    }
    const opened = await openArtifact(await plain(adapter.dir), "adapter");
    expect(opened.manifest.details).toEqual({
      base: { kind: "causal-lm", path: model.dir, digest: null },
      rank: 2,
      alpha: 4,
      targetModules: ["q_proj", "v_proj"],
    });
  });

  it("is the kind it looks like and no other", async () => {
    const dir = await plain((await tinyRewardModel(at("reward"))).dir);
    await expectRefusal(openArtifact(dir, "causal-lm"), { reason: "wrong-kind", foundKind: "reward-model" });
  });

  it("has a digest that stays with the bytes and changes with them", async () => {
    const dir = await plain((await tinyCausalLm(at("model"))).dir);
    const { digest } = await openArtifact(dir, "causal-lm");
    await cp(dir, at("copy"), { recursive: true });
    expect((await openArtifact(at("copy"), "causal-lm", { verify: "size" })).digest).toBe(digest);
    const { size } = await stat(at("copy", "model.safetensors"));
    await flipByte(at("copy", "model.safetensors"), size - 1);
    expect((await openArtifact(at("copy"), "causal-lm")).digest).not.toBe(digest);
  });

  it("refuses weights cut short in the data, in the header and in the length", async () => {
    const dir = await plain((await tinyCausalLm(at("model"))).dir);
    const weights = join(dir, "model.safetensors");
    const { size } = await stat(weights);
    for (const length of [size - 1, 100, 7, 0]) {
      await truncate(weights, length);
      await expectRefusal(openArtifact(dir, "causal-lm"), { reason: "size", file: "model.safetensors" });
    }
  });

  it("refuses weights with bytes beyond the last tensor or a header that is no header", async () => {
    const dir = await plain((await tinyCausalLm(at("model"))).dir);
    const weights = join(dir, "model.safetensors");
    const bytes = await readFile(weights);
    await writeFile(weights, Buffer.concat([bytes, Buffer.alloc(1)]));
    await expectRefusal(openArtifact(dir, "causal-lm"), { reason: "size", file: "model.safetensors" });
    bytes.fill("x", 8, 20);
    await writeFile(weights, bytes);
    await expectRefusal(openArtifact(dir, "causal-lm"), { reason: "bad-file", file: "model.safetensors" });
  });

  it("refuses a model without weights, with a shard missing or with a shard elsewhere", async () => {
    const dir = await plain((await tinyCausalLm(at("model"))).dir);
    const index = join(dir, "model.safetensors.index.json");
    await rename(join(dir, "model.safetensors"), join(dir, "model-1.safetensors"));
    await expectRefusal(openArtifact(dir, "causal-lm"), { reason: "missing", file: "model.safetensors" });
    await writeFile(index, JSON.stringify({ weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" } }));
    await expectRefusal(openArtifact(dir, "causal-lm"), { reason: "missing", file: "model-2.safetensors" });
    await writeFile(index, JSON.stringify({ weight_map: { a: "../model-1.safetensors" } }));
    await expectRefusal(openArtifact(dir, "causal-lm"), { reason: "path-escape", file: "../model-1.safetensors" });
    await writeFile(join(dir, "model-2.safetensors"), safetensorsBytes({ b: tinyTensor(3, 4) }));
    await writeFile(index, JSON.stringify({ weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" } }));
    const { manifest } = await openArtifact(dir, "causal-lm");
    expect(Object.keys(manifest.files)).toContain("model-2.safetensors");
  });

  it("says what to do about weights that are pickled", async () => {
    const dir = await plain((await tinyCausalLm(at("model"))).dir);
    await rename(join(dir, "model.safetensors"), join(dir, "pytorch_model.bin"));
    expect((await refusal(openArtifact(dir, "causal-lm"))).message).toContain("save them as safetensors");
  });

  it("refuses what writeArtifact had begun when the process was killed", async () => {
    const staged = at(".model.partial-0123456789ab");
    await cp(await plain((await tinyCausalLm(at("model"))).dir), staged, { recursive: true });
    await expectRefusal(openArtifact(staged, "causal-lm"), { reason: "half-written", path: staged });
  });

  it.each([
    ["text", '{"text": "a"}'],
    ["chat", '{"conversations": [{"from": "human", "value": "a"}]}'],
    ["chat", '{"instruction": "a", "input": "", "output": "b"}'],
    ["preference", '{"conversations": [], "chosen": "a", "rejected": "b"}'],
    ["preference", '{"system": "", "question": "q", "response_chosen": "a", "response_rejected": "b"}'],
    ["prompt", '{"prompt": "a", "guideline": 3}'],
  ] as const)("is a %s dataset by the first row %s", async (format, row) => {
    await mkdir(at("data", "inner"), { recursive: true });
    await writeFile(at("data", "part.jsonl"), `\uFEFF\n${row}\n`);
    await writeFile(at("data", "inner", "valid.jsonl"), `${row}\n`);
    await writeFile(at("data", "empty.jsonl"), "");
    const { manifest } = await openDataset(at("data"), format);
    expect(manifest.details.splits).toEqual({
      train: { files: ["empty.jsonl", "part.jsonl"], rows: null },
      validation: { files: ["inner/valid.jsonl"], rows: null },
    });
  });

  const parquet = join(process.env["MEDGPT_SHARED"] ?? "../shared", "goldens", "K_parquet");
  it.skipIf(process.env["CI"] !== "true" && !existsSync(parquet))(
    "has its format read from the footer of a parquet file",
    async () => {
      const { files } = JSON.parse(await readFile(join(parquet, "case.json"), "utf8")) as {
        files: Record<string, { columns: string[]; rows: number }>;
      };
      // Of the reference's files those of text alone and of conversations.
      const read = Object.entries(files).flatMap(([name, { columns }]): [file: string, format: "chat" | "text"][] => {
        if (columns.includes("conversations")) return [[`${name}.parquet`, "chat"]];
        return columns.includes("text") ? [[`${name}.parquet`, "text"]] : [];
      });
      expect(read.length).toBeGreaterThan(0);
      for (const [file, format] of read) {
        await rm(at("data"), { recursive: true, force: true });
        await mkdir(at("data"));
        await cp(join(parquet, file), at("data", file));
        expect((await openDataset(at("data"), format)).manifest.details.format).toBe(format);
        await truncate(at("data", file), 50);
        await expectRefusal(openArtifact(at("data"), "dataset"), { reason: "size", file });
      }
    },
  );

  it("is a text dataset when it holds .txt files", async () => {
    await mkdir(at("data"));
    await writeFile(at("data", "book.txt"), "one\ntwo\n");
    expect((await openDataset(at("data"), "text")).inferred).toBe(true);
  });

  it("refuses a first row that is no object, columns of no format and two formats in one folder", async () => {
    await mkdir(at("data"));
    await writeFile(at("data", "a.jsonl"), "\n[1]\n");
    const error = await refusal(openArtifact(at("data"), "dataset"));
    expect(error).toMatchObject({ reason: "bad-file", file: "a.jsonl" });
    expect(error.message).toContain("line 2");
    await writeFile(at("data", "a.jsonl"), '{"foo": 1}\n');
    await expectRefusal(openArtifact(at("data"), "dataset"), { reason: "bad-file", file: "a.jsonl" });
    await writeFile(at("data", "a.jsonl"), '{"text": "x"}\n');
    await writeFile(at("data", "b.jsonl"), '{"messages": []}\n');
    await expectRefusal(openArtifact(at("data"), "dataset"), { reason: "unrecognised" });
    await rm(at("data", "b.jsonl"));
    await writeFile(at("data", "a.jsonl"), "");
    await expectRefusal(openArtifact(at("data"), "dataset"), { reason: "unrecognised" });
  });
});

describe("writeArtifact", () => {
  const description = {
    kind: "dataset",
    details: { format: "text", splits: { train: { files: ["train.jsonl"], rows: 1 } } },
    createdBy,
    inputs: [],
  } as const;
  const fill = (text: string) => (dir: string) => writeFile(join(dir, "train.jsonl"), `${JSON.stringify({ text })}\n`);
  const mutable = () => structuredClone(description) as never as Parameters<typeof writeArtifact<"dataset">>[1];

  it("lists every file with its size and sha256, and is named by the digest of the manifest", async () => {
    const artifact = await writeArtifact(at("a", "b"), mutable(), async (dir) => {
      await fill("x")(dir);
      await mkdir(join(dir, "inner"));
      await writeFile(join(dir, "inner", "notes.txt"), "abc");
    });
    expect(artifact.manifest.files).toEqual({
      "inner/notes.txt": { bytes: 3, sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
      "train.jsonl": { bytes: 13, sha256: createHash("sha256").update('{"text":"x"}\n').digest("hex") },
    });
    const manifest = await readFile(at("a", "b", "medgpt.json"));
    expect(artifact.digest).toBe(createHash("sha256").update(manifest).digest("hex"));
    expect(artifact.manifest.createdBy).toEqual(createdBy);
    expect(await readdir(at("a"))).toEqual(["b"]);
  });

  it("shows nothing under the name before it is complete", async () => {
    await writeArtifact(at("out"), mutable(), async (dir) => {
      await fill("x")(dir);
      expect(await readdir(root)).toEqual([dir.slice(root.length + 1)]);
      await expectRefusal(openArtifact(dir, "dataset"), { reason: "half-written" });
      await expectRefusal(openArtifact(at("out"), "dataset"), { reason: "missing" });
    });
    expect(await readdir(root)).toEqual(["out"]);
    await openArtifact(at("out"), "dataset");
  });

  it("leaves nothing behind when filling fails or a needed file was not written", async () => {
    const failing = writeArtifact(at("out"), mutable(), async (dir) => {
      await fill("x")(dir);
      throw new Error("out of tokens");
    });
    await expect(failing).rejects.toThrow("out of tokens");
    await expectRefusal(
      writeArtifact(at("out"), mutable(), async () => {}),
      { reason: "missing" },
    );
    expect(await readdir(root)).toEqual([]);
  });

  it("does not touch a folder in use, and takes an empty one", async () => {
    await mkdir(at("out"));
    await writeArtifact(at("out"), mutable(), fill("first"));
    let filled = false;
    const second = writeArtifact(at("out"), mutable(), async () => void (filled = true));
    await expectRefusal(second, { reason: "exists", path: at("out") });
    expect(filled).toBe(false);
    expect(await readFile(at("out", "train.jsonl"), "utf8")).toBe('{"text":"first"}\n');
  });

  it("overwrites an artifact when told to, and keeps the old one when filling fails", async () => {
    await writeArtifact(at("out"), mutable(), async (dir) => {
      await fill("first")(dir);
      await writeFile(join(dir, "extra.txt"), "");
    });
    const failing = writeArtifact(at("out"), mutable(), () => Promise.reject(new Error("no")), { overwrite: true });
    await expect(failing).rejects.toThrow("no");
    await openArtifact(at("out"), "dataset");
    await writeArtifact(at("out"), mutable(), fill("second"), { overwrite: true });
    expect((await readdir(at("out"))).sort()).toEqual(["medgpt.json", "train.jsonl"]);
    expect(await readFile(at("out", "train.jsonl"), "utf8")).toBe('{"text":"second"}\n');
    expect(await readdir(root)).toEqual(["out"]);
  });

  it("never deletes a file that is not the artifact's, overwrite or not", async () => {
    await writeArtifact(at("out"), mutable(), fill("first"));
    await mkdir(at("out", "checkpoint-5"));
    await writeFile(at("out", "checkpoint-5", ".state"), "precious");
    const error = await refusal(writeArtifact(at("out"), mutable(), fill("second"), { overwrite: true }));
    expect(error.message).toContain("checkpoint-5/.state");
    await mkdir(at("mine"));
    await writeFile(at("mine", "thesis.txt"), "precious");
    await expectRefusal(writeArtifact(at("mine"), mutable(), fill("x"), { overwrite: true }), { reason: "exists" });
    expect(await readFile(at("mine", "thesis.txt"), "utf8")).toBe("precious");
    expect(await readFile(at("out", "checkpoint-5", ".state"), "utf8")).toBe("precious");
    expect(await readFile(at("out", "train.jsonl"), "utf8")).toBe('{"text":"first"}\n');
  });

  it("does not overwrite files that came while it was filling", async () => {
    const writing = writeArtifact(at("out"), mutable(), async (dir) => {
      await fill("x")(dir);
      await mkdir(at("out"));
      await writeFile(at("out", "theirs.txt"), "precious");
    });
    await expectRefusal(writing, { reason: "exists" });
    expect(await readdir(root)).toEqual(["out"]);
    expect(await readdir(at("out"))).toEqual(["theirs.txt"]);
  });
});

describe("sealArtifact", () => {
  const details = { format: "text" as const, splits: { train: { files: ["train.jsonl"], rows: 1 } } };
  const description = { kind: "dataset" as const, details, createdBy, inputs: [], files: ["train.jsonl"] };

  it("completes a folder that was filled in place and leaves other files alone", async () => {
    await mkdir(at("out", "checkpoint-2"), { recursive: true });
    await writeFile(at("out", "checkpoint-2", "state.json"), "{}");
    await writeFile(at("out", "train.jsonl"), '{"text":"a"}\n');
    const sealed = await sealArtifact(at("out"), description);
    expect(await openArtifact(at("out"), "dataset")).toEqual(sealed);
    expect(Object.keys(sealed.manifest.files)).toEqual(["train.jsonl"]);
    expect((await readdir(at("out"))).sort()).toEqual(["checkpoint-2", "medgpt.json", "train.jsonl"]);
  });

  it("takes a later state of the same folder under a new digest", async () => {
    await mkdir(at("out"));
    await writeFile(at("out", "train.jsonl"), '{"text":"a"}\n');
    const first = await sealArtifact(at("out"), description);
    await writeFile(at("out", "train.jsonl"), '{"text":"b"}\n');
    await expectRefusal(openArtifact(at("out"), "dataset"), { reason: "digest" });
    const second = await sealArtifact(at("out"), description);
    expect(second.digest).not.toBe(first.digest);
    expect((await openArtifact(at("out"), "dataset")).digest).toBe(second.digest);
  });

  it("writes no manifest for files that are missing, broken or elsewhere", async () => {
    await mkdir(at("out"));
    await expectRefusal(sealArtifact(at("out"), description), { reason: "missing", file: "train.jsonl" });
    await writeFile(at("out", "train.jsonl"), '{"text":"a"}\n');
    const withEscape = sealArtifact(at("out"), { ...description, files: ["train.jsonl", "../x"] });
    await expectRefusal(withEscape, { reason: "path-escape", file: "../x" });
    await writeFile(at("out", "half.safetensors"), safetensorsBytes({ a: tinyTensor(4) }).subarray(0, -1));
    const withBroken = sealArtifact(at("out"), { ...description, files: ["train.jsonl", "half.safetensors"] });
    await expectRefusal(withBroken, { reason: "size", file: "half.safetensors" });
    const badDetails = { ...details, format: "poem" as "text" };
    await expectRefusal(sealArtifact(at("out"), { ...description, details: badDetails }), { reason: "bad-manifest" });
    expect((await readdir(at("out"))).sort()).toEqual(["half.safetensors", "train.jsonl"]);
  });
});

describe("lineage", () => {
  it("leads from an adapter to the exact base it was made from", async () => {
    const model = await tinyCausalLm(at("model"));
    const { dir } = await tinyAdapter(at("adapter"), model);
    const { manifest } = await openArtifact(dir, "adapter");
    expect(manifest.inputs).toEqual([{ kind: "causal-lm", path: model.dir, digest: model.digest }]);
    expect(await openRef(manifest.details.base)).toEqual(model);
  });

  it("notices that another artifact lies where the base was", async () => {
    const model = await tinyCausalLm(at("model"));
    await editManifest(model.dir, (manifest) => (manifest.createdBy!.version = "9.9.9"));
    await expectRefusal(openRef(artifactRef(model)), { reason: "digest", path: model.dir });
    await rm(model.dir, { recursive: true });
    await tinyRewardModel(model.dir);
    await expectRefusal(openRef(artifactRef(model)), { reason: "wrong-kind", foundKind: "reward-model" });
  });

  it("takes the base of a plain adapter by its name alone", async () => {
    const model = await tinyCausalLm(at("model"));
    const { dir } = await tinyAdapter(at("adapter"), model);
    await rm(join(dir, "medgpt.json"));
    const { manifest } = await openArtifact(dir, "adapter");
    expect((await openRef(manifest.details.base)).digest).toBe(model.digest);
  });
});
