/** A run on a model and a data set of a hub, from the command line to what it leaves behind. */
import { existsSync } from "node:fs";
import { EventEmitter } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openArtifact } from "@medgpt/artifacts";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { HubServer, readJson, snapshot, type Outcome, type Toys } from "@medgpt/core/testing";
import { main } from "../../packages/cli/src/main.js";
import { makeToys } from "../../packages/pretrain/src/testing/toys.js";

let toys: Toys;
let server: HubServer;
let commit: string;
let texts: string;
beforeAll(async () => {
  toys = await makeToys();
  server = await HubServer.start();
  commit = server.publish(
    "org/tiny",
    { ...(await contents("llama")), "pytorch_model.bin": "x" },
    { revisions: ["main", "v1"] },
  );
  const [train, held] = [await readFile(toys.at("text/one.txt")), await readFile(toys.at("held/three.txt"))];
  texts = server.publish("datasets/org/texts", { "train.txt": train, "validation.txt": held, "test.txt": "unused" });
  vi.stubEnv("HF_ENDPOINT", server.url);
  vi.stubEnv("HF_HOME", toys.at("hf"));
  vi.stubEnv("HF_TOKEN", "hf_secret");
});
afterEach(() => void vi.stubEnv("HF_HUB_OFFLINE", ""));
afterAll(async () => {
  vi.unstubAllEnvs();
  await server.close();
  await toys.remove();
});

const contents = async (dir: string): Promise<Record<string, Buffer>> =>
  Object.fromEntries(
    await Promise.all(
      (await readdir(toys.at(dir))).map(async (name) => [name, await readFile(toys.at(dir, name))] as const),
    ),
  );
/** Runs a command, which must succeed. Returns what it said. */
async function medgpt(...argv: string[]): Promise<string> {
  const said: string[] = [];
  const stream = Object.assign(new EventEmitter(), { write: (text: string) => said.push(text) });
  const code = await main(
    argv,
    Object.assign(new EventEmitter(), { stdout: stream, stderr: stream, env: {}, exit: () => {} }),
  );
  expect(said.join("") || "nothing", argv.join(" ")).not.toMatch(/error/i);
  expect(code).toBe(0);
  return said.join("");
}

const flags = {
  model_name_or_path: "org/tiny",
  train_file_dir: undefined,
  dataset_name: "org/texts",
  backend: "js",
  max_steps: 2,
  do_eval: true,
};
const run = (output: string, more = {}): Promise<Outcome> => toys.command(toys.argv(output, { ...flags, ...more }));

describe("a run on org/tiny and org/texts", () => {
  it("trains on the split train, evaluates on validation, and records where they came from", async () => {
    const { code, stderr } = await run("out", { model_revision: "v1" });
    expect(stderr).toContain(`org/tiny@v1: commit ${commit}`);
    expect(stderr).toMatch(/^org\/texts, train: \d+ documents/m);
    expect(stderr).toMatch(/^org\/texts, validation: \d+ documents/m);
    expect(code).toBe(0);
    expect(
      (await readJson<Record<string, unknown>>(toys.at("out"), "adapter_config.json"))["base_model_name_or_path"],
    ).toBe("org/tiny");
    const { manifest } = await openArtifact(toys.at("out"), "adapter");
    const model = toys.at("hf/hub/models--org--tiny/snapshots", commit);
    expect(manifest.inputs).toMatchObject([
      { kind: "causal-lm", path: model, hub: { id: "org/tiny", commit } },
      { kind: "dataset", digest: null, hub: { id: "org/texts", commit: texts } },
    ]);
    expect(manifest.details.base).toEqual(manifest.inputs[0]);
    expect(await readdir(model)).not.toContain("pytorch_model.bin");
    expect(JSON.stringify(await snapshot(toys.at("out")))).not.toContain(Buffer.from("hf_secret").toString("base64"));
  });

  it("gives the same bits as one on the folders, and offline", async () => {
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    server.requests.length = 0;
    expect((await run("offline", { model_revision: "v1" })).code).toBe(0);
    expect(server.requests).toEqual([]);
    const local = { model_name_or_path: toys.at("llama"), dataset_name: undefined, train_file_dir: undefined };
    const dirs = { train_file_dir: await only("one", "text/one.txt"), validation_file_dir: toys.at("held") };
    expect((await run("local", { ...local, ...dirs })).code).toBe(0);
    const weights = (output: string): Promise<Buffer> => readFile(toys.at(output, "adapter_model.safetensors"));
    expect((await weights("offline")).equals(await weights("local"))).toBe(true);
    expect((await readJson(toys.at("offline"), "eval_results.json"))["eval_loss"]).toBe(
      (await readJson(toys.at("local"), "eval_results.json"))["eval_loss"],
    );
  });

  it("takes an adapter and a tokenizer of the hub, whatever the model's revision", async () => {
    server.publish("org/adapter", await contents("out"));
    server.publish("org/tokenizer", await contents("llama"));
    const { code, stderr } = await run("second", {
      model_revision: "v1",
      peft_path: "org/adapter",
      tokenizer_name_or_path: "org/tokenizer",
    });
    expect(stderr).toContain("org/adapter: commit");
    expect(code).toBe(0);
    const { manifest } = await openArtifact(toys.at("second"), "adapter");
    expect(manifest.inputs.map(({ hub }) => hub?.id)).toEqual(["org/tiny", "org/adapter", "org/texts"]);
    expect(await readdir(toys.at("hf/hub"))).toContain("models--org--tokenizer");
    expect(server.asked(/^\/org\/tokenizer\/.*safetensors/)).toEqual([]);
  });

  it("is merged, generated from and inspected by the names that it was trained with", async () => {
    const model = ["--model_name_or_path", "org/tiny", "--model_revision", "v1"];
    const adapter = ["--adapter", "org/adapter", "--backend", "js"];
    expect(await medgpt("merge", ...model, ...adapter, "--output_dir", toys.at("merged"))).toContain("is right");
    expect((await openArtifact(toys.at("merged"), "causal-lm")).manifest.inputs[1]?.kind).toBe("adapter");

    await writeFile(toys.at("prompts.txt"), "Diabetes is\n");
    const files = ["--data_file", toys.at("prompts.txt"), "--raw", "--max_new_tokens", "4"];
    const answer = async (output: string, ...names: string[]): Promise<string> => {
      await medgpt("generate", ...names, "--threads", "1", ...files, "--output_file", toys.at(output));
      return readFile(toys.at(output), "utf8");
    };
    const unmerged = await answer("unmerged.jsonl", ...model, ...adapter);
    expect(unmerged).toBe(await answer("merged.jsonl", "--model_name_or_path", toys.at("merged"), "--backend", "js"));

    await writeFile(
      toys.at("chat.jsonl"),
      JSON.stringify({ messages: ["user", "assistant"].map((role) => ({ role, content: "Hi" })) }),
    );
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    await medgpt("inspect", "sample", toys.at("chat.jsonl"), "1", ...model, "--template_name", "vicuna");
    vi.mocked(process.stdout.write).mockRestore();
  });

  it("sets a part of train aside where the data set has no other split, and takes a folder for one", async () => {
    server.publish("datasets/org/plain", { "poems.txt": await readFile(toys.at("text/one.txt")) });
    const split = { dataset_name: "org/plain", validation_split_percentage: 30 };
    const { code, stderr } = await run("plain", split);
    expect(stderr).toMatch(/^org\/plain, train: \d+ documents/m);
    expect(stderr).toMatch(/^validation: \d+ rows/m);
    expect(code).toBe(0);
    const folder = await run("folder", { ...split, dataset_name: await only("plain-folder", "text/one.txt") });
    expect(folder.code).toBe(0);
    const lossOf = async (output: string): Promise<number | undefined> =>
      (await readJson(toys.at(output), "eval_results.json"))["eval_loss"];
    expect(await lossOf("folder")).toBe(await lossOf("plain"));
  });

  it("keeps the hub's files in HF_HOME and the tokens of its text in --cache_dir", async () => {
    server.publish("org/apart", await contents("llama"));
    server.publish("datasets/org/apart", { "train.txt": await readFile(toys.at("text/one.txt")) });
    const apart = { model_name_or_path: "org/apart", dataset_name: "org/apart", do_eval: false };
    expect((await run("apart", { ...apart, cache_dir: toys.at("apart-cache") })).code).toBe(0);
    expect(await readdir(toys.at("hf/hub"))).toEqual(
      expect.arrayContaining(["models--org--apart", "datasets--org--apart"]),
    );
    const cached = Object.keys((await snapshot(toys.at("apart-cache"))) ?? {});
    expect(cached.map((path) => path.split("/").at(-1)).sort()).toEqual(["meta.json", "offsets.bin", "tokens.bin"]);
  });

  it("runs no code of a data set, and does not fetch it", async () => {
    const script = `open(${JSON.stringify(toys.at("was-run"))}, "w").close()\n`;
    const poems = await readFile(toys.at("text/one.txt"));
    server.publish("datasets/org/scripted", { "scripted.py": script, "poems.txt": poems });
    await toys.write("scripted/scripted.py", script);
    await toys.write("scripted/poems.txt", poems);
    const trusting = { do_eval: false, trust_remote_code: true };
    expect((await run("scripted-hub", { ...trusting, dataset_name: "org/scripted" })).code).toBe(0);
    expect((await run("scripted-folder", { ...trusting, dataset_name: toys.at("scripted") })).code).toBe(0);
    expect(server.asked(/\.py$/)).toEqual([]);
    expect(existsSync(toys.at("was-run"))).toBe(false);
  });

  it.each([
    [{ model_name_or_path: "org/other" }, /^error: org\/other: no folder here and no such model at http/m],
    [{ dataset_name: "org/other" }, /^error: org\/other: no folder here and no such dataset at http/m],
    [{ dataset_name: "org/held" }, /^error: org\/held: --do_train: the data set has no split train$/m],
    [
      { dataset_name: "org/script", trust_remote_code: true },
      /^error: org\/script: expected \.txt, .* files, but the data is in files such as script\.py$/m,
    ],
    [{ model_revision: "v9" }, /^error: org\/tiny@v9: the model has no revision "v9"/m],
    [
      { dataset_config_name: "en" },
      /^error: org\/texts: --dataset_config_name: the data set has no configuration "en"/m,
    ],
  ])("ends with one line and no output for %j", async (more, message) => {
    server.publish("datasets/org/held", { "validation.txt": "held" });
    server.publish("datasets/org/script", { "script.py": "raise SystemExit" });
    const { code, stderr } = await run("refused", more);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(await snapshot(toys.at("refused"))).toBeUndefined();
  });
});

/** A folder with a copy of one file. */
async function only(dir: string, file: string): Promise<string> {
  await toys.write(join(dir, "one.txt"), await readFile(toys.at(file)));
  return toys.at(dir);
}
