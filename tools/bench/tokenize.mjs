/**
 * Tokenising speed beside Python's tokenizers, in turn on the same Chinese text, on one core and on all: of encoding alone,
 * and of ours from a file to its cache. The ids must be equal.
 *
 *     npm run bench:tokenize [TOKENIZER…] [-- --megabytes 16 --rounds 3 --python PYTHON --smoke]
 *
 * TOKENIZER is a folder with a tokenizer.json, or such a file (.gz too). Without: the sample's, and what `npm run bench` made.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { ensureVenv } from "../parity/venv.mjs";

const root = resolve(import.meta.dirname, "../..");
const shared = process.env["MEDGPT_SHARED"] ?? resolve(root, "../shared");
const BATCH = 8192; // documents, as the token cache takes them

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    megabytes: { type: "string", default: "16" },
    rounds: { type: "string", default: "3" },
    python: { type: "string" },
    ours: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const [megabytes, rounds] = values.smoke ? [0.01, 1] : [values.megabytes, values.rounds].map(Number);

if (values.ours) {
  console.log(JSON.stringify(await ours(...positionals)));
} else {
  main();
}

/** Runs in a process of its own, since the number of threads is fixed when the library starts. */
async function ours(dir, text) {
  const { loadTokenizer } = await import("../../packages/core/dist/tokenizer/index.js");
  const { tokenizeFiles } = await import("../../packages/core/dist/data/index.js");
  const tokenizer = await loadTokenizer(dir, { engine: "native" });
  const lines = readFileSync(text, "utf8").split("\n");
  const seconds = [];
  const coreSeconds = [];
  let ids = [];
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now();
    const before = process.cpuUsage();
    ids = [];
    for (let at = 0; at < lines.length; at += BATCH)
      ids.push(...(await tokenizer.encodeBatch(lines.slice(at, at + BATCH))));
    seconds.push((performance.now() - begin) / 1000);
    const { user, system } = process.cpuUsage(before);
    coreSeconds.push((user + system) / 1e6);
  }
  let checksum = 0;
  for (const row of ids) for (const id of row) checksum = (Math.imul(checksum, 31) + id) >>> 0;
  const cacheDir = mkdtempSync(join(tmpdir(), "medgpt-tokenize-cache-"));
  const begin = performance.now();
  const cache = await tokenizeFiles([text], tokenizer, { keepLinebreaks: false, cacheDir }, { log() {} });
  const file = (performance.now() - begin) / 1000;
  await cache.close();
  rmSync(cacheDir, { recursive: true });
  return { ids: ids.reduce((sum, { length }) => sum + length, 0), checksum, seconds, coreSeconds, file };
}

function main() {
  const python = values.smoke ? undefined : (values.python ?? ensureVenv("normal"));
  const work = mkdtempSync(join(tmpdir(), "medgpt-tokenize-"));
  try {
    const [name, source] = chineseText();
    const text = join(work, "text.txt");
    writeFileSync(text, source.repeat(Math.ceil((megabytes * 1e6) / Buffer.byteLength(source))));
    const size = statSync(text).size / 1e6;
    console.log(`${name}, repeated to ${size.toFixed(0)} MB; MB/s of the best of ${rounds} rounds`);
    console.log(`${"".padEnd(16)}  one thread, a second of CPU   all threads, a second of the clock`);
    console.log(
      `${"tokenizer".padEnd(16)}    ours  python   ratio          ours  python   ratio   ours, file to cache`,
    );
    for (const path of tokenizers()) {
      const dir = prepared(path, work);
      const cells = [label(path).padEnd(16)];
      let file = 0;
      for (const [threads, clock] of [
        [1, "coreSeconds"],
        [availableParallelism(), "seconds"],
      ]) {
        const env = { ...process.env, RAYON_NUM_THREADS: String(threads), TOKENIZERS_PARALLELISM: "true" };
        const run = (program, ...args) => JSON.parse(execFileSync(program, args, { env, encoding: "utf8" }));
        const self = fileURLToPath(import.meta.url);
        const mine = run(process.execPath, self, "--ours", "--rounds", String(rounds), dir, text);
        const rate = (result) => size / Math.min(...result[clock]);
        cells.push(
          rate(mine)
            .toFixed(1)
            .padStart(clock === "seconds" ? 12 : 6),
        );
        if (python === undefined) cells.push(values.smoke ? "    not asked " : "    no Python ");
        else {
          const script = join(import.meta.dirname, "hf_tokenize.py");
          const theirs = run(python, script, join(dir, "tokenizer.json"), text, String(BATCH), String(rounds));
          if (theirs.ids !== mine.ids || theirs.checksum !== mine.checksum)
            throw new Error(`${path}: the ids differ: ${mine.ids} of ours, ${theirs.ids} of Python's`);
          cells.push(rate(theirs).toFixed(1).padStart(6), (rate(mine) / rate(theirs)).toFixed(2).padStart(6));
        }
        file = mine.file;
      }
      console.log(`${cells.join("  ")}  ${(size / file).toFixed(1).padStart(6)}`);
    }
  } finally {
    rmSync(work, { recursive: true });
  }
}

function label(path) {
  const name = basename(path);
  return /^tokenizer\.json/.test(name) || name === "tokenizer"
    ? basename(dirname(path))
    : name.replace(".tokenizer.json.gz", "");
}

/** MedicalGPT's text where the shared folder is, else the sample's. */
function chineseText() {
  const real = join(shared, "data/pretrain/fever.txt");
  const file = existsSync(real) && !values.smoke ? real : join(root, "datasets/sample/pretrain/synthetic-zh.txt");
  return [basename(file), readFileSync(file, "utf8")];
}

function tokenizers() {
  if (positionals.length > 0) return positionals;
  if (values.smoke) return [join(root, "datasets/sample/tokenizer")];
  const candidates = [
    join(root, "datasets/sample/tokenizer"),
    join(root, ".cache/bench/smollm2"),
    join(shared, "goldens/H_tokenizers/real_llama2.tokenizer.json.gz"),
  ];
  return candidates.filter((path) => existsSync(path));
}

/** A folder with a tokenizer.json. */
function prepared(path, work) {
  if (statSync(path).isDirectory()) return path;
  const dir = join(work, label(path));
  mkdirSync(dir, { recursive: true });
  const bytes = readFileSync(path);
  writeFileSync(join(dir, "tokenizer.json"), path.endsWith(".gz") ? gunzipSync(bytes) : bytes);
  return dir;
}
