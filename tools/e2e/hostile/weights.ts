import { copyFile, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { DEEP, folder, link, pipe, safetensors, type Entry, type HostileCase } from "./sandbox.js";

const FILE = "%s/model/model.safetensors";
const INDEX = "%s/model/model.safetensors.index.json";
const GATE = "model.layers.0.mlp.gate_proj.weight"; // (64, 32)
const Q = "model.layers.0.self_attn.q_proj.weight"; // (32, 32)

const incomplete = (what: string): RegExp => new RegExp(`^${FILE}: expected a complete safetensors file, but ${what}`);
const unusable = (what: string): RegExp => new RegExp(`^${FILE}: not a usable safetensors file: ${what}`);
/** A header with one entry changed. */
const entry = (what: string, change: (entry: Entry) => unknown, error: RegExp): HostileCase => ({
  what: `weights with ${what}`,
  flags: (box) => box.header((header) => change(header[GATE] as Entry)),
  error,
});
const bytes = (what: string, data: Uint8Array, error: RegExp): HostileCase => ({
  what: `weights ${what}`,
  flags: (box) => box.modelWith("model.safetensors", data),
  error,
});
/** All weights there, one of them stored in another dtype of as many bytes. */
const dtype = (stored: string, shape: number[]): HostileCase =>
  entry(
    `a matrix of ${stored}`,
    (gate) => Object.assign(gate, { dtype: stored, shape }),
    new RegExp(`^${FILE}: .*(is stored as ${stored}, expected|expected shape)`),
  );
const index = (what: string, made: (map: Record<string, unknown>) => unknown, error: string | RegExp): HostileCase => ({
  what: `an index ${what}`,
  flags: (box) => box.index(made),
  error,
});
/** The map with one tensor said to be in `shard`. */
const shard = (name: unknown, error: string | RegExp): HostileCase =>
  index(
    `with the shard ${typeof name === "string" && name.length > 40 ? "of a long name" : JSON.stringify(name)}`,
    (map) => ({ weight_map: { ...map, [GATE]: name } }),
    error,
  );

export const weights: readonly HostileCase[] = [
  bytes("of no bytes", Buffer.alloc(0), incomplete("it has 0 bytes")),
  bytes("of seven bytes", Buffer.alloc(7), incomplete("it has 7 bytes")),
  bytes("of a header of no bytes", safetensors(""), incomplete("its header is not JSON")),
  bytes(
    "whose header claims 2^63 bytes",
    safetensors("{}", undefined, 2n ** 63n),
    incomplete("its header of \\d+ bytes reaches beyond"),
  ),
  bytes(
    "whose header claims 2^64 - 1 bytes",
    safetensors("{}", undefined, 2n ** 64n - 1n),
    incomplete("its header of \\d+ bytes reaches beyond"),
  ),
  bytes(
    "whose header claims a gigabyte",
    safetensors("{}", undefined, 2n ** 30n),
    incomplete("its header of 1073741824 bytes"),
  ),
  bytes(
    "whose header claims a byte too many",
    safetensors("{}", undefined, 3n),
    incomplete("its header of 3 bytes reaches beyond its 10 bytes"),
  ),
  bytes("with a header that is not JSON", safetensors('{"a": }'), incomplete("its header is not JSON")),
  bytes(
    "with a header that is not UTF-8",
    safetensors(Buffer.from('{"\xff": 1}', "latin1")),
    incomplete("its header says nothing usable of tensor"),
  ),
  bytes("with a header that is a list", safetensors("[]"), unusable('its header does not begin with "{"')),
  bytes("with a header that is null", safetensors("null"), incomplete("its header is not an object")),
  bytes("with a header that is a number", safetensors("5"), incomplete("its header is not an object")),
  bytes(
    "with a header nested 100,000 levels deep",
    safetensors(`{"a": ${DEEP}}`),
    incomplete("its header is nested too deeply"),
  ),
  bytes(
    "that are a web page",
    Buffer.from("<!doctype html><html><title>Sign in</title></html>"),
    incomplete("its header of \\d+ bytes reaches beyond"),
  ),
  bytes(
    "that are a pointer of Git LFS",
    Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    incomplete("its header of \\d+ bytes"),
  ),
  {
    what: "weights cut short in their data",
    flags: (box) => box.model((at) => truncate(at("model.safetensors"), 300_000)),
    error: incomplete("its header describes \\d+ bytes and it has 300000"),
    process: true,
  },
  {
    what: "weights with a byte after their data",
    flags: (box) => box.model(async (at) => writeFile(at("model.safetensors"), Buffer.of(0), { flag: "a" })),
    error: incomplete("its header describes \\d+ bytes and it has \\d+"),
  },
  {
    what: "weights whose header has a name twice",
    flags: (box) => box.headerText((text) => text.replace(GATE, Q)),
    error: unusable(`its header has the key "${Q}" twice`),
  },
  {
    what: "weights whose header has blanks before it",
    flags: (box) => box.headerText((text) => `  ${text}`),
    error: unusable('its header does not begin with "{"'),
  },
  {
    what: "weights with metadata of numbers",
    flags: (box) => box.header((header) => (header["__metadata__"] = { format: 1 } as unknown as Entry)),
    error: unusable('__metadata__ should map strings to strings, got {"format":1}'),
  },
  {
    what: "weights with metadata that are null",
    flags: (box) => box.header((header) => (header["__metadata__"] = null as unknown as Entry)),
    error: unusable("__metadata__ should map strings to strings, got null"),
  },
  {
    what: "weights with an entry that is null",
    flags: (box) => box.header((header) => (header[GATE] = null as unknown as Entry)),
    error: incomplete(`its header says nothing usable of tensor "${GATE}"`),
  },
  entry("no dtype", (gate) => delete gate.dtype, unusable(`tensor "${GATE}" has the unknown dtype nothing`)),
  entry("an unknown dtype", (gate) => (gate.dtype = "F99"), unusable(`tensor "${GATE}" has the unknown dtype "F99"`)),
  entry(
    "the dtype constructor",
    (gate) => (gate.dtype = "constructor"),
    unusable('.* has the unknown dtype "constructor"'),
  ),
  entry(
    "another dtype",
    (gate) => (gate.dtype = "F16"),
    unusable(`tensor "${GATE}" of dtype F16 and shape \\[64, 32\\] does not fit its 8192 bytes`),
  ),
  dtype("I32", [64, 32]),
  dtype("U8", [256, 32]),
  dtype("F64", [32, 32]),
  dtype("F8_E4M3", [256, 32]),
  entry("no shape", (gate) => delete gate.shape, incomplete("its header says nothing usable")),
  entry("a negative shape", (gate) => (gate.shape = [-64, -32]), incomplete("its header says nothing usable")),
  entry("a shape with a fraction", (gate) => (gate.shape = [64.5, 32]), incomplete("its header says nothing usable")),
  entry("a shape in quotes", (gate) => (gate.shape = "64x32"), incomplete("its header says nothing usable")),
  entry("a shape of 2^53", (gate) => (gate.shape = [2 ** 53, 1]), incomplete("its header says nothing usable")),
  entry(
    "a shape whose product wraps round 2^64",
    (gate) => (gate.shape = [2 ** 32, 2 ** 32, 2048]),
    unusable(`tensor "${GATE}" of dtype F32 and shape`),
  ),
  entry(
    "a shape whose product is beyond numbers",
    (gate) => (gate.shape = Array.from({ length: 40 }, () => 2 ** 52)),
    unusable(`tensor "${GATE}" of dtype F32 and shape`),
  ),
  entry(
    "a shape of no elements",
    (gate) => (gate.shape = [0, 32]),
    unusable(`tensor "${GATE}" of dtype F32 and shape \\[0, 32\\] does not fit`),
  ),
  entry(
    "a shape that is transposed",
    (gate) => (gate.shape = [32, 64]),
    new RegExp(`^${FILE}: ${GATE}: expected shape \\(64, 32\\) from config.json, got \\(32, 64\\)`),
  ),
  entry(
    "a shape of more dimensions",
    (gate) => (gate.shape = [1, 64, 32]),
    new RegExp(`^${FILE}: ${GATE}: expected shape \\(64, 32\\) from config.json, got \\(1, 64, 32\\)`),
  ),
  entry("no data_offsets", (gate) => delete gate.data_offsets, incomplete("its header says nothing usable")),
  entry("one data_offset", (gate) => (gate.data_offsets = [0]), incomplete("its header says nothing usable")),
  entry(
    "negative data_offsets",
    (gate) => (gate.data_offsets = [-8192, 0]),
    incomplete("its header says nothing usable"),
  ),
  entry(
    "data_offsets in reverse",
    (gate) => (gate.data_offsets as number[]).reverse(),
    unusable(`tensor "${GATE}" begins at \\d+, after its end \\d+`),
  ),
  entry(
    "data_offsets over those of another tensor",
    (gate) => (gate.data_offsets = [0, 8192]),
    unusable('tensor ".*" overlaps another at byte 0 of the data'),
  ),
  entry(
    "data_offsets that leave a gap",
    (gate) => (gate.data_offsets = (gate.data_offsets as number[]).map((at) => at + 4)),
    unusable("tensor .* overlaps another at byte|bytes \\d+ to \\d+ of the data"),
  ),
  entry(
    "data_offsets beyond the file",
    (gate) => (gate.data_offsets = [1e9, 1e9 + 8192]),
    incomplete("its header describes \\d+ bytes and it has"),
  ),
  entry(
    "data_offsets beyond 2^53",
    (gate) => (gate.data_offsets = [2 ** 60, 2 ** 60 + 8192]),
    incomplete("its header says nothing usable"),
  ),
  {
    what: "weights without one that the model needs",
    flags: (box) =>
      box.header((header) => {
        header["another"] = header[GATE] as Entry;
        delete header[GATE];
      }),
    error: `%s/model: the checkpoint has no tensor "${GATE}"`,
  },
  {
    what: "weights that are a folder",
    flags: (box) => box.model((at) => folder(at("model.safetensors"))),
    error: /^%s\/model\/model.safetensors: looks like a causal-lm, but model.safetensors or .* is missing/,
  },
  {
    what: "weights that are a pipe",
    flags: (box) => box.model((at) => pipe(at("model.safetensors"))),
    error: /^%s\/model\/model.safetensors: looks like a causal-lm, but model.safetensors or .* is missing/,
    process: true,
  },
  {
    what: "weights that link to nothing",
    flags: (box) => box.model((at) => link(at("model.safetensors"), "/nowhere/model.safetensors")),
    error: /^%s\/model\/model.safetensors: looks like a causal-lm, but model.safetensors or .* is missing/,
  },
  {
    what: "weights that are pickled",
    flags: (box) =>
      box.model(async (at) => {
        await rm(at("model.safetensors"));
        await writeFile(at("pytorch_model.bin"), "\x80\x02c__builtin__\neval\n");
      }),
    error: /^%s\/model\/model.safetensors: .*it holds PyTorch .bin weights: save them as safetensors first/,
  },
  index("that is not JSON", () => "{", new RegExp(`^${INDEX}: expected JSON, but`)),
  index("that is a list", () => [], `${INDEX}: expected a JSON object, found a list`),
  index(
    "nested 100,000 levels deep",
    () => `{"weight_map": ${DEEP}}`,
    `${INDEX}: expected JSON of at most 200 levels, but it is nested deeper`,
  ),
  index(
    "without weight_map",
    () => ({ metadata: {} }),
    `${INDEX}: expected "weight_map" to name the shard of every tensor`,
  ),
  index(
    "with an empty weight_map",
    () => ({ weight_map: {} }),
    `${INDEX}: expected "weight_map" to name the shard of every tensor`,
  ),
  index(
    "with a weight_map that is text",
    () => ({ weight_map: "all" }),
    `${INDEX}: expected "weight_map" to name the shard of every tensor`,
  ),
  index(
    "that leaves a tensor out",
    ({ [GATE]: _, ...map }) => ({ weight_map: map }),
    `%s/model: the checkpoint has no tensor "${GATE}"`,
  ),
  index(
    "with a tensor that no shard has",
    (map) => ({ weight_map: { ...map, "lm_head.bias": map[GATE] } }),
    new RegExp(`^${INDEX}: says that .* holds tensor "lm_head.bias", but it does not`),
  ),
  shard(5, `${INDEX}: expected "weight_map" to name the shard of every tensor`),
  shard(
    "../llama/model.safetensors",
    /: the name "..\/llama\/model.safetensors" does not name a file inside the folder$/,
  ),
  shard("/etc/passwd", /: the name "\/etc\/passwd" does not name a file inside the folder$/),
  shard("..", /: the name ".." does not name a file inside the folder$/),
  shard("", /: the name "" does not name a file inside the folder$/),
  shard("..\\llama\\model.safetensors", /does not name a file inside the folder$/),
  shard("model.safetensors\0.bin", /: the name "model.safetensors\\u0000.bin" does not name a file inside the folder$/),
  shard("medgpt.json", /: the name "medgpt.json" does not name a file inside the folder$/),
  shard(
    "model-00002-of-00002.safetensors",
    /: looks like a causal-lm, but model-00002-of-00002.safetensors is missing/,
  ),
  shard(`${"x".repeat(5000)}.safetensors`, /: looks like a causal-lm, but x+/),
  shard("tokenizer.json", /^%s\/model\/tokenizer.json: not a usable safetensors file: its header claims \d+ bytes/),
  {
    what: "an index and a shard cut short",
    flags: async (box) => {
      const flags = await box.index((map) => ({ weight_map: map }));
      await truncate(box.at("model/model-00001-of-00001.safetensors"), 250_000);
      return flags;
    },
    error: /^%s\/model\/model-00001-of-00001.safetensors: expected a complete safetensors file/,
  },
  {
    what: "an index and a shard that is a pipe",
    flags: async (box) => {
      const flags = await box.index((map) => ({ weight_map: map }));
      await pipe(box.at("model/model-00001-of-00001.safetensors"));
      return flags;
    },
    error: /: looks like a causal-lm, but model-00001-of-00001.safetensors is missing/,
  },
  {
    what: "an index that is a device",
    flags: async (box) => {
      const flags = await box.index((map) => ({ weight_map: map }));
      await link(box.at("model/model.safetensors.index.json"), "/dev/zero");
      return flags;
    },
    error: /: looks like a causal-lm, but model.safetensors or model.safetensors.index.json is missing/,
  },
  {
    what: "an adapter in place of a model",
    flags: async (box) => {
      const { peft_path } = await box.adapter(() => Promise.resolve(), true);
      return { model_name_or_path: peft_path };
    },
    error: "%s/adapter: expected a model, found an adapter; merge it into its base first",
  },
  {
    what: "a model that is a file",
    flags: async (box) => {
      await copyFile(box.prototypes.toys.at("llama/model.safetensors"), box.at("model.safetensors"));
      return { model_name_or_path: box.at("model.safetensors") };
    },
    error: "%s/model.safetensors: expected the folder of a model, but this is a file",
  },
  {
    what: "what an interrupted run left behind, as a model",
    flags: async (box) => {
      await box.write(".model.partial-0a1b/config.json", await readFile(box.prototypes.toys.at("llama/config.json")));
      return { model_name_or_path: box.at(".model.partial-0a1b") };
    },
    error: "%s/.model.partial-0a1b: is what an interrupted run left behind; delete it and run again",
  },
];
