import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError, openArtifact } from "@medgpt/artifacts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { failure, HubServer, type Answer } from "../testing/hub-server.js";
import type { RunEvent } from "../run/run-context.js";
import { connectHub, type HubConnection } from "./connection.js";
import { resolveModel, type ResolvedFolder } from "./resolve-model.js";

const TOKEN = "hf_token";
const WEIGHTS = "model.safetensors";

/** A safetensors file of one tensor, so large that it comes in several pieces. */
function weights(elements = 60_000): Buffer {
  const header = JSON.stringify({ w: { dtype: "U8", shape: [elements], data_offsets: [0, elements] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, Buffer.from(header), randomBytes(elements)]);
}

const data = weights();
const digest = createHash("sha256").update(data).digest("hex");
const files = {
  "config.json": '{"model_type": "llama", "vocab_size": 8, "architectures": ["LlamaForCausalLM"]}',
  "generation_config.json": "{}",
  "tokenizer.json": '{"model": {"vocab": {}}}',
  "chat_template.jinja": "{{ messages }}",
  [WEIGHTS]: data,
  "pytorch_model.bin": "pickled",
  "tf_model.h5": "h5",
  "onnx/model.safetensors": "another",
  "README.md": "# Tiny",
  ".gitattributes": "",
};
const NEEDED = ["chat_template.jinja", "config.json", "generation_config.json", WEIGHTS, "tokenizer.json"];

let server: HubServer;
let root: string;
let storage: string;
let events: RunEvent[];
let pauses: number[];
beforeEach(async () => {
  server = await HubServer.start();
  root = await mkdtemp(join(tmpdir(), "medgpt-hub-"));
  storage = join(root, "hub/models--org--tiny");
  [events, pauses] = [[], []];
});
afterEach(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

function connect(env: Record<string, string> = {}, signal?: AbortSignal): Promise<HubConnection> {
  const log = (event: RunEvent): void => void events.push(event);
  return connectHub(signal === undefined ? { log } : { log, signal }, {
    env: { HF_ENDPOINT: server.url, HF_HOME: root, ...env },
    pause: (milliseconds) => Promise.resolve(void pauses.push(milliseconds)),
  });
}

async function resolve(
  name = "org/tiny",
  {
    kind = "model",
    env = {},
    revision,
  }: { kind?: "model" | "adapter" | "tokenizer"; env?: Record<string, string>; revision?: string } = {},
): Promise<ResolvedFolder> {
  return resolveModel(name, kind, await connect(env), revision);
}

/** The message of the InputError that a call ends with. */
async function refusal(call: Promise<unknown>): Promise<string> {
  const failed: unknown = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failed).toBeInstanceOf(InputError);
  const { message } = failed as InputError;
  expect(message).not.toContain("\n");
  return message;
}

const warnings = (): string[] =>
  events.flatMap((event) => (event.type === "message" && event.level === "warn" ? [event.text] : []));
const blobs = (): Promise<string[]> => readdir(join(storage, "blobs")).catch(() => []);
/** What was asked for of the weights' bytes. */
const ranges = (): (string | undefined)[] =>
  server.requests.filter(({ host }) => host === "cdn").map(({ range }) => range);

describe("a name", () => {
  it("that is a folder is that folder, and nothing is asked of the hub", async () => {
    expect(await resolve(root)).toEqual({ dir: root });
    expect(server.requests).toEqual([]);
  });

  const long = "x".repeat(97);
  it.each([
    ...["./no/such", "./model", "/no/such", "/model", "~/model", "~", "a/b/c", "models/tiny/", "../up", ".."],
    ...["models\\tiny", "C:\\models", "owner/na--me", "bad name", "repo.git", "", long, `${long}/tiny`, `org/${long}`],
  ])("that no repository has is left to the opener: %j", async (name) => {
    expect(await resolve(name)).toEqual({ dir: name });
    expect(server.requests).toEqual([]);
  });

  it.each(["org/tiny", "tiny"])("of a repository is its snapshot in the cache: %s", async (name) => {
    const commit = server.publish(name, files);
    const { dir, hub } = await resolve(name);
    expect(hub).toEqual({ id: name, commit });
    expect(dir).toBe(join(root, "hub", `models--${name.replace("/", "--")}`, "snapshots", commit));
    expect(await readFile(join(dir, WEIGHTS))).toEqual(data);
    expect((await openArtifact(dir, "causal-lm")).inferred).toBe(true);
  });
});

describe("the cache", () => {
  it("has the files of a model and no others, as links to blobs named by their digests", async () => {
    const commit = server.publish("org/tiny", files);
    const { dir } = await resolve();
    expect((await readdir(dir)).sort()).toEqual(NEEDED);
    expect(await readlink(join(dir, WEIGHTS))).toBe(join("../../blobs", digest));
    const sha1 = createHash("sha1").update("blob 2\0{}").digest("hex");
    expect(await readlink(join(dir, "generation_config.json"))).toBe(join("../../blobs", sha1));
    expect(await readFile(join(storage, "refs/main"), "utf8")).toBe(commit);
    expect((await blobs()).filter((name) => name.includes("."))).toEqual([]);
    expect(
      server
        .asked(/resolve/)
        .map(({ path }) => path.split("/").at(-1))
        .sort(),
    ).toEqual(NEEDED);
  });

  it("is asked before the hub for files, but not for the commit", async () => {
    server.publish("org/tiny", files);
    await resolve();
    server.requests.length = 0;
    await resolve();
    expect(server.asked(/resolve/)).toEqual([]);
    const changed = server.publish("org/tiny", { ...files, "config.json": '{"model_type": "qwen2"}' });
    const { dir, hub } = await resolve();
    expect(hub?.commit).toBe(changed);
    expect(await readFile(join(dir, "config.json"), "utf8")).toContain("qwen2");
    expect(server.asked(/resolve/).map(({ path }) => path.split("/").at(-1))).toEqual(["config.json"]);
  });

  it("downloads equal files once", async () => {
    server.publish("org/tiny", { ...files, "generation_config.json": "same", "special_tokens_map.json": "same" });
    const { dir } = await resolve();
    expect(await readFile(join(dir, "special_tokens_map.json"), "utf8")).toBe("same");
    expect(server.asked(/resolve.*(generation_config|special_tokens)/)).toHaveLength(1);
  });

  it("replaces a file of another size than the hub lists", async () => {
    server.publish("org/tiny", files);
    const { dir } = await resolve();
    await writeFile(join(storage, "blobs", digest), data.subarray(5));
    await resolve();
    expect(await readFile(join(dir, WEIGHTS))).toEqual(data);
  });

  it("is not filled beyond the disk", async () => {
    server.publish("org/tiny", files);
    server.fault(/tree/, replaced(/"size":60\d+/g, '"size":9000000000000000'), 9);
    expect(await refusal(resolve())).toMatch(
      /^org\/tiny: the download needs 9,000,000,.* bytes and the disk has .* free/,
    );
    expect(await blobs()).not.toContain(digest);
  });
});

describe("which files", () => {
  const shards = { "model-00001-of-00002.safetensors": weights(100), "model-00002-of-00002.safetensors": weights(200) };
  const index = (...names: string[]): string =>
    JSON.stringify({ weight_map: Object.fromEntries(names.map((name, number) => [`w${number}`, name])) });

  it("are shards where there is an index", async () => {
    const { [WEIGHTS]: _, ...others } = files;
    const all = { ...others, ...shards, "model.safetensors.index.json": index(...Object.keys(shards)) };
    server.publish("org/tiny", { ...all, "model-00003-of-00002.safetensors": "not in the index" });
    const { dir } = await resolve();
    const expected = [
      ...NEEDED.filter((name) => name !== WEIGHTS),
      ...Object.keys(shards),
      "model.safetensors.index.json",
    ];
    expect((await readdir(dir)).sort()).toEqual(expected.sort());
  });

  it.each([["../../../evil"], ["model-00009.safetensors"]])(
    "never lie outside the listing: shard %s",
    async (shard) => {
      server.publish("org/tiny", { "config.json": "{}", "model.safetensors.index.json": index(shard) });
      expect(await refusal(resolve())).toBe(`org/tiny: expected a model, but the repository has no ${shard}`);
    },
  );

  it("are two for an adapter", async () => {
    server.publish("org/tiny", {
      "adapter_config.json": "{}",
      "adapter_model.safetensors": data,
      "tokenizer.json": "{}",
    });
    const { dir } = await resolve("org/tiny", { kind: "adapter" });
    expect((await readdir(dir)).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });

  it("are no weights for a tokenizer", async () => {
    server.publish("org/tiny", files);
    const { dir } = await resolve("org/tiny", { kind: "tokenizer" });
    expect((await readdir(dir)).sort()).toEqual(["chat_template.jinja", "config.json", "tokenizer.json"]);
  });

  it.each([
    [
      "pickled weights",
      "model",
      { "config.json": "{}", "pytorch_model.bin": "x" },
      /^org\/tiny: the repository has no safetensors weights, only pytorch_model\.bin, which is not read; /,
    ],
    [
      "a pickled adapter",
      "adapter",
      { "adapter_config.json": "{}", "adapter_model.bin": "x" },
      /only adapter_model\.bin/,
    ],
    [
      "an adapter for a model",
      "model",
      { "adapter_config.json": "{}", "adapter_model.safetensors": "x" },
      /^org\/tiny: this is an adapter and no model; give its base here and the adapter with --peft_path$/,
    ],
    [
      "a model for an adapter",
      "adapter",
      files,
      /^org\/tiny: expected an adapter, but the repository has no adapter_config\.json$/,
    ],
    ["no weights", "model", { "config.json": "{}" }, /expected a model, but the repository has no model\.safetensors$/],
    [
      "no tokenizer.json",
      "tokenizer",
      { "config.json": "{}" },
      /expected a tokenizer, but the repository has no tokenizer\.json$/,
    ],
  ] as const)("are missed by name: %s", async (_, kind, published, message) => {
    server.publish("org/tiny", published);
    expect(await refusal(resolve("org/tiny", { kind }))).toMatch(message);
    expect(server.asked(/resolve.*(bin|h5)$/)).toEqual([]);
  });
});

describe("a revision", () => {
  it.each(["v2", "feature/x", "refs/pr/1"])("may be a branch or a tag: %s", async (revision) => {
    const commit = server.publish("org/tiny", files, { revisions: ["main", revision] });
    const { hub } = await resolve("org/tiny", { revision });
    expect(hub?.commit).toBe(commit);
    expect(await readFile(join(storage, "refs", revision), "utf8")).toBe(commit);
  });

  it("may be a commit, and then no ref is kept", async () => {
    const revision = server.publish("org/tiny", files);
    const { hub } = await resolve("org/tiny", { revision });
    expect(hub?.commit).toBe(revision);
    expect(await readdir(storage)).not.toContain("refs");
    expect(server.asked(/\/revision\//)).toEqual([]);
  });

  it("that is not there is named", async () => {
    server.publish("org/tiny", files);
    expect(await refusal(resolve("org/tiny", { revision: "v9" }))).toBe(
      `org/tiny@v9: the model has no revision "v9"; see ${server.url}/org/tiny/tree/main`,
    );
  });

  it.each(["../../x", "/etc", "a//b", "a b", ".git", "a/../b", ""])(
    "never leads out of the cache: %j",
    async (revision) => {
      const message = `--model_revision: expected a branch, a tag or a commit, got ${JSON.stringify(revision)}`;
      expect(await refusal(resolve("org/tiny", { revision }))).toBe(message);
      expect(server.requests).toEqual([]);
    },
  );
});

describe("access", () => {
  const env = { HF_TOKEN: TOKEN };

  it("is by a token that the hub gets, and the host of large files does not", async () => {
    server.publish("org/tiny", files, { token: TOKEN });
    await resolve("org/tiny", { env });
    const asked = (host: string): (string | undefined)[] =>
      server.requests.filter((request) => request.host === host).map(({ authorization }) => authorization);
    expect(new Set(asked("hub"))).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect(asked("cdn")).toEqual([undefined]);
  });

  it("gives no token to another host that a listing leads to", async () => {
    server.publish("org/tiny", files, { token: TOKEN });
    const other = await HubServer.start();
    server.fault(/tree/, (answer) => ({
      ...answer,
      headers: { ...answer.headers, link: `<${other.url}/next>; rel="next"` },
    }));
    expect(await refusal(resolve("org/tiny", { env }))).toMatch(/refuses \(401 Unauthorized for \/next\)/);
    expect(other.requests).toMatchObject([{ path: "/next", authorization: undefined }]);
    await other.close();
  });

  it.each([
    [
      "private, no token",
      { token: TOKEN },
      {},
      /^org\/tiny: no folder here and no such model at http.* \(revision main\), or it is private; check the name, or give an access token with --hf_hub_token/,
    ],
    ["private, another token", { token: TOKEN }, { HF_TOKEN: "hf_other" }, /or it is private; check the name$/],
    [
      "gated, no token",
      { token: TOKEN, gated: true },
      {},
      /^org\/tiny: access to this model must be granted: ask for it at http.*\/org\/tiny, then give your access token with --hf_hub_token, HF_TOKEN or the file that `hf auth login` writes$/,
    ],
    [
      "gated, another token",
      { token: TOKEN, gated: true },
      { HF_TOKEN: "hf_other" },
      /the access token given may not read this model: ask for access at http.*\/org\/tiny, or give another token$/,
    ],
  ] as const)("is refused with what to do: %s", async (_, options, given, message) => {
    server.publish("org/tiny", files, options);
    const text = await refusal(resolve("org/tiny", { env: given }));
    expect(text).toMatch(message);
    expect(text).not.toContain("hf_other");
    expect(pauses).toEqual([]);
    expect(await blobs()).toEqual([]);
  });

  it("is refused for a token that the hub does not know", async () => {
    server.publish("org/tiny", files);
    server.fault(/revision/, () => failure(401));
    expect(await refusal(resolve("org/tiny", { env }))).toMatch(
      /^org\/tiny: the hub does not accept the access token; give a valid one/,
    );
  });

  it("is not there for a name that is not", async () => {
    expect(await refusal(resolve("org/nothing"))).toMatch(/^org\/nothing: no folder here and no such model at/);
  });
});

describe("a download", () => {
  beforeEach(() => void server.publish("org/tiny", files));
  const cut = (bytes: number) => (answer: Answer) => ({ ...answer, cut: bytes });

  it("that is cut off goes on with the missing bytes", async () => {
    server.fault(/\?[0-9a-f]{64}$/, cut(20_000));
    const { dir } = await resolve();
    expect(await readFile(join(dir, WEIGHTS))).toEqual(data);
    const [text] = warnings();
    const said =
      /^org\/tiny: model\.safetensors: the connection was cut after ([1-9][\d,]+) of 60,\d+ bytes \(.+\); going on from there$/;
    const cutAfter = said.exec(text!)?.[1]?.replace(",", "");
    expect(ranges()).toEqual([undefined, `bytes=${cutAfter}-`]);
  });

  it("that fails for good is taken up by the next run where it ended", async () => {
    server.fault(/\?[0-9a-f]{64}$/, cut(20_000), 1);
    server.fault(/\?[0-9a-f]{64}$/, cut(0), 5);
    expect(await refusal(resolve())).toMatch(
      /^org\/tiny: model\.safetensors: the connection was cut after [1-9].*; run the same command again to go on from there$/,
    );
    const { size } = await stat(join(storage, "blobs", `${digest}.incomplete`));
    server.requests.length = 0;
    const { dir } = await resolve();
    expect(await readFile(join(dir, WEIGHTS))).toEqual(data);
    expect(ranges()).toEqual([`bytes=${size}-`]);
    expect((await blobs()).filter((name) => name.includes("."))).toEqual([]);
  });

  it.each([
    ["other bytes", Buffer.alloc(1000, 7), ["bytes=1000-", undefined]],
    ["too many bytes", Buffer.alloc(data.length + 1), [undefined]],
    ["as many bytes, but others", Buffer.alloc(data.length), [undefined]],
  ])("starts again where an earlier run left %s", async (_, left, asked) => {
    await mkdir(join(storage, "blobs"), { recursive: true });
    await writeFile(join(storage, "blobs", `${digest}.incomplete`), left);
    const { dir } = await resolve();
    expect(await readFile(join(dir, WEIGHTS))).toEqual(data);
    expect(ranges()).toEqual(asked);
  });

  it("starts again where the server sends all of it in place of the rest", async () => {
    server.fault(/\?[0-9a-f]{64}$/, cut(20_000));
    server.fault(/\?[0-9a-f]{64}$/, () => ({ status: 200, headers: {}, body: data }));
    const { dir } = await resolve();
    expect(await readFile(join(dir, WEIGHTS))).toEqual(data);
  });

  it.each([
    ["a smaller file", (answer: Answer) => ({ ...answer, body: data.subarray(0, 100) }), "100 bytes"],
    [
      "a larger file",
      (answer: Answer) => ({ ...answer, body: Buffer.concat([data, data]) }),
      `${2 * data.length} bytes`,
    ],
    [
      "more bytes than it says",
      (answer: Answer) => ({
        ...answer,
        headers: { "transfer-encoding": "chunked" },
        body: Buffer.concat([data, data]),
      }),
      "more bytes",
    ],
    ["a page for signing in", () => ({ status: 200, headers: {}, body: Buffer.from("<html>") }), "6 bytes"],
  ])("that brings %s fails and leaves nothing", async (_, change, got) => {
    server.fault(/\?[0-9a-f]{64}$/, change);
    expect(await refusal(resolve())).toBe(
      `org/tiny: model.safetensors comes with ${got}, and the hub lists ${data.length} bytes; try again later`,
    );
    expect(await blobs()).not.toContain(digest);
    expect(await blobs()).not.toContain(`${digest}.incomplete`);
  });

  it("that brings another range than was asked for fails and leaves nothing", async () => {
    server.fault(/\?[0-9a-f]{64}$/, cut(20_000));
    server.fault(/\?[0-9a-f]{64}$/, () => ({
      status: 206,
      headers: { "content-range": "bytes 5-9/99" },
      body: Buffer.alloc(5),
    }));
    expect(await refusal(resolve())).toMatch(
      /model\.safetensors comes with the range bytes 5-9\/99, and the hub lists/,
    );
    expect(await blobs()).not.toContain(`${digest}.incomplete`);
  });

  it.each([
    ["of a large file", /\?[0-9a-f]{64}$/, WEIGHTS, digest],
    [
      "of a small file",
      /resolve.*tokenizer\.json/,
      "tokenizer.json",
      createHash("sha1").update(`blob 24\0${files["tokenizer.json"]}`).digest("hex"),
    ],
  ])("with the wrong digest %s fails and leaves nothing", async (_, path, name, expected) => {
    server.fault(path, (answer) => ({ ...answer, body: Buffer.from(answer.body).fill(1, 3, 9) }));
    expect(await refusal(resolve())).toBe(
      `org/tiny: ${name} does not have the digest that the hub lists (${expected}); download it again`,
    );
    expect((await blobs()).filter((blob) => blob.startsWith(expected))).toEqual([]);
    await resolve();
    expect(await blobs()).toContain(expected);
  });

  it("may run twice at once", async () => {
    for (const bytes of [10_000, 0, 5_000, 20_000]) server.fault(/\?[0-9a-f]{64}$/, cut(bytes));
    const [one, two] = await Promise.all([resolve(), resolve()]);
    expect(one).toEqual(two);
    expect(await readFile(join(one.dir, WEIGHTS))).toEqual(data);
    expect((await blobs()).filter((name) => name.includes("."))).toEqual([]);
  });

  it("keeps what it has when it is interrupted", async () => {
    const controller = new AbortController();
    const connection = await connect({}, controller.signal);
    const log = (event: RunEvent): void => {
      connection.context.log(event);
      if (event.type === "progress" && event.total > 10_000) controller.abort();
    };
    const run = resolveModel("org/tiny", "model", { ...connection, context: { ...connection.context, log } });
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    await resolve();
    expect(await blobs()).toContain(digest);
  });

  it("reports its progress in bytes", async () => {
    await resolve();
    const progress = events.filter((event) => event.type === "progress");
    expect(progress.at(-1)).toEqual({
      type: "progress",
      task: "downloading org/tiny",
      done: data.length,
      total: data.length,
      unit: "bytes",
    });
  });
});

describe("a hub", () => {
  it.each([
    [
      "after as long as it asks",
      failure(429, undefined, { "retry-after": "7" }),
      [7000],
      /429 Too Many Requests .*; trying again in 7 s/,
    ],
    ["after half a second", failure(500), [500], /500 Internal Server Error .*; trying again in 0.5 s/],
    ["at the time that it names", failure(503, undefined, { "retry-after": new Date(0).toUTCString() }), [0], /503/],
  ])("that is busy is asked again %s", async (_, answer, waited, message) => {
    server.publish("org/tiny", files);
    server.fault(/revision/, () => answer);
    await resolve();
    expect(pauses).toEqual(waited);
    expect(warnings()).toEqual([expect.stringMatching(message)]);
  });

  it("that stays busy is given up", async () => {
    server.publish("org/tiny", files);
    server.fault(/revision/, () => failure(502), 9);
    expect(await refusal(resolve())).toMatch(
      /^org\/tiny: no folder of that name here, and 127.* cannot be reached \(502 Bad Gateway\); check the path; for the hub, try again later$/,
    );
    expect(pauses).toEqual([500, 1000, 2000, 4000]);
  });

  it("that asks for too long a wait is given up at once", async () => {
    server.publish("org/tiny", files);
    server.fault(/revision/, () => failure(429, undefined, { "retry-after": "9999" }));
    expect(await refusal(resolve())).toMatch(/429 Too Many Requests\), and asks to wait 9999 s; .*try again later$/);
    expect(pauses).toEqual([]);
  });

  it("that cuts an answer off is asked again", async () => {
    server.publish("org/tiny", files);
    server.fault(/tree/, (answer) => ({ ...answer, cut: 10 }));
    await resolve();
    expect(warnings()).toHaveLength(1);
  });

  it("that cannot be reached is an error without a copy in the cache", async () => {
    await server.close();
    expect(await refusal(resolve())).toMatch(
      /^org\/tiny: no folder of that name here, and 127.* cannot be reached \(ECONNREFUSED\); check the path; for the hub, try again later, or set HF_ENDPOINT to a hub or mirror that can be reached$/,
    );
  });

  it.each([
    ["ENOTFOUND", []],
    ["EAI_AGAIN", [500]],
  ])("whose name does not resolve (%s) is not waited for", async (code, waited) => {
    const fetch = vi.spyOn(globalThis, "fetch").mockImplementation(() => {
      const cause = Object.assign(new Error(`getaddrinfo ${code} hub.invalid`), { code });
      return Promise.reject(new TypeError("fetch failed", { cause }));
    });
    const env = { HF_ENDPOINT: "http://hub.invalid" };
    expect(await refusal(resolve("models/tiny", { env }).finally(() => fetch.mockRestore()))).toBe(
      `models/tiny: no folder of that name here, and hub.invalid cannot be reached (its address is not known here: ${code}); check the path; for the hub, check the network, or set HF_ENDPOINT to a hub or mirror that can be reached`,
    );
    expect(pauses).toEqual(waited);
  });

  it("is asked only after it is said that there is no such folder, with the one that is nearly so called", async () => {
    await mkdir(join(root, "models/bloomz-560m"), { recursive: true });
    const here = process.cwd();
    process.chdir(root);
    try {
      expect(await refusal(resolve("models/bloomz-650m"))).toMatch(/no folder here and no such model at/);
      const [first] = events.map((event) => (event.type === "message" ? event.text : ""));
      expect(first).toMatch(
        /^models\/bloomz-650m: no folder of that name here \(there is models\/bloomz-560m\); asking 127/,
      );
      await server.close();
      expect(await refusal(resolve("models/bloomz-650m"))).toContain("(there is models/bloomz-560m), and 127");
    } finally {
      process.chdir(here);
    }
  });

  it("that cannot be reached is replaced by the copy in the cache, which is said", async () => {
    server.publish("org/tiny", files);
    const online = await resolve();
    await server.close();
    expect(await resolve()).toEqual(online);
    expect(warnings().at(-1)).toMatch(
      /^org\/tiny: 127.* cannot be reached \(ECONNREFUSED\); taking commit [0-9a-f]{40} from the cache, which may not be the newest$/,
    );
  });

  it.each([
    [401, "RepoNotFound", /or it is private/],
    [403, "GatedRepo", /must be granted/],
    [404, "RepoNotFound", /no such model/],
  ])("that refuses (%i) is not replaced by the copy in the cache", async (status, code, message) => {
    server.publish("org/tiny", files);
    await resolve();
    server.fault(/revision/, () => failure(status, code));
    expect(await refusal(resolve())).toMatch(message);
  });

  it.each([
    [
      "no JSON",
      () => ({ status: 200, headers: {}, body: Buffer.from("<html>") }),
      /does not answer as a hub does \(.*\); is HF_ENDPOINT right\?$/,
    ],
    [
      "no list of files",
      () => ({ status: 200, headers: {}, body: Buffer.from("{}") }),
      /does not answer as a hub does/,
    ],
    [
      "a path that leads out",
      replaced('"path":"config.json"', '"path":"../../config.json"'),
      /lists the file "\.\.\/\.\.\/config\.json", which does not lie inside the repository$/,
    ],
    ["an absolute path", replaced('"path":"config.json"', '"path":"/etc/config.json"'), /which does not lie inside/],
    ["a path of Windows", replaced('"path":"config.json"', '"path":"c:\\\\config.json"'), /which does not lie inside/],
    ["a path that is none", replaced('"path":"config.json"', '"path":7'), /which does not lie inside/],
    ["a digest that is a path", replaced(/"oid":"[0-9a-f]{40}"/g, '"oid":"../../x"'), /\(the digest \.\.\/\.\.\/x of /],
    ["a size that is none", replaced(/"size":\d+/g, '"size":-1'), /\(the size -1 of /],
  ] as const)("is not believed: %s", async (_, change, message) => {
    server.publish("org/tiny", files);
    server.fault(/tree/, change);
    expect(await refusal(resolve())).toMatch(message);
    expect(await blobs()).toEqual([]);
  });

  it("is not believed: a commit that is a path", async () => {
    server.publish("org/tiny", files);
    server.fault(/revision/, replaced(/"sha":"[0-9a-f]{40}"/, '"sha":"../../../x"'));
    expect(await refusal(resolve())).toMatch(/\(the commit "\.\.\/\.\.\/\.\.\/x"\)/);
  });
});

describe("offline", () => {
  const env = { HF_HUB_OFFLINE: "1" };

  it("takes what is in the cache and asks nothing", async () => {
    server.publish("org/tiny", files);
    const online = await resolve();
    server.requests.length = 0;
    expect(await resolve("org/tiny", { env })).toEqual(online);
    expect(await resolve("org/tiny", { env: { TRANSFORMERS_OFFLINE: "true" }, revision: online.hub!.commit })).toEqual(
      online,
    );
    expect(server.requests).toEqual([]);
  });

  it("says so where the cache does not have it", async () => {
    server.publish("org/tiny", files);
    expect(await refusal(resolve("org/tiny", { env }))).toBe(
      `org/tiny: no folder here, and not in the cache ${join(root, "hub")}; HF_HUB_OFFLINE forbids to download it: run once without`,
    );
    await resolve();
    expect(await refusal(resolve("org/tiny", { env, revision: "v2" }))).toMatch(/^org\/tiny@v2: no folder here/);
  });

  it("says what a copy lacks, and so does a hub that cannot be reached", async () => {
    server.publish("org/tiny", files);
    const { dir } = await resolve("org/tiny", { kind: "tokenizer" });
    expect(await refusal(resolve("org/tiny", { env }))).toBe(
      `org/tiny: expected a model, but the copy in the cache (${dir}) has no model.safetensors`,
    );
    await server.close();
    expect(await refusal(resolve())).toMatch(/the copy in the cache \(.*\) has no model\.safetensors$/);
  });
});

describe("connectHub", () => {
  const context = { log: () => {} };

  it.each([
    [{ HF_HOME: "/h" }, "/h/hub"],
    [{ HF_HOME: "/h", HF_HUB_CACHE: "/c" }, "/c"],
    [{ HUGGINGFACE_HUB_CACHE: "/d", HF_HOME: "/h" }, "/d"],
    [{ XDG_CACHE_HOME: "/x", HF_HOME: "" }, "/x/huggingface/hub"],
  ])("finds the cache by %j", async (env, cacheDir) => {
    expect(await connectHub(context, { env })).toMatchObject({ cacheDir, endpoint: "https://huggingface.co" });
  });

  it("takes the token given, else the environment's, else the file's", async () => {
    const env = { HF_HOME: root };
    expect(await connectHub(context, { env })).toMatchObject({ token: undefined, offline: false });
    await writeFile(join(root, "token"), "hf_file\n");
    expect((await connectHub(context, { env })).token).toBe("hf_file");
    expect((await connectHub(context, { env: { ...env, HF_TOKEN: " hf_env\n" } })).token).toBe("hf_env");
    expect((await connectHub(context, { env: { ...env, HF_TOKEN: "hf_env" }, token: "hf_flag" })).token).toBe(
      "hf_flag",
    );
  });

  it("refuses what is no address or no token, without showing the token", async () => {
    expect(await refusal(connectHub(context, { env: { HF_ENDPOINT: "hub.example" } }))).toBe(
      'HF_ENDPOINT: expected the address of a hub such as https://huggingface.co, got "hub.example"',
    );
    const message = await refusal(connectHub(context, { env: {}, token: "hf secret" }));
    expect(message).toMatch(/^--hf_hub_token or HF_TOKEN: expected an access token/);
    expect(message).not.toContain("secret");
  });
});

/** Changes the first such text of an answer. */
function replaced(from: string | RegExp, to: string): (answer: Answer) => Answer {
  return (answer) => ({ ...answer, body: Buffer.from(Buffer.from(answer.body).toString().replace(from, to)) });
}
