/**
 * Fine-tuning on conversations of various lengths with masked questions, beside transformers + peft padding to the longest
 * of a batch, as MedicalGPT does: the same rows, weights and adapter, in turn.
 *
 *     npm run bench:sft [-- --data FILE.jsonl --batch 4 --steps 6 --length 512 --dtype bfloat16 --smoke]
 *
 * Ours runs twice: on the same batches, and on the same conversations packed into rows of `length` tokens that stay apart.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createDialog, DialogEncoder, joinTurns, readConversation } from "@medgpt/core/chat";
import { packLengths, readRows, shuffledOrder } from "@medgpt/core/data";
import { loadChatTemplate, loadTokenizer } from "@medgpt/core/tokenizer";
import { ensureVenv } from "../parity/venv.mjs";
import { root } from "../setup/setup.mjs";
import { SAMPLE, temporaryFolder, tinyModel } from "./smoke.mjs";

const shared = process.env.MEDGPT_SHARED ?? resolve(root, "../shared");
const { values } = parseArgs({
  options: {
    data: { type: "string", default: join(shared, "data/sft/medical_sft_1K_format.jsonl") },
    batch: { type: "string", default: "4" },
    steps: { type: "string", default: "6" },
    length: { type: "string", default: "512" },
    dtype: { type: "string", default: "bfloat16" },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke } = values;
const [batch, steps, length] = smoke ? [2, 2, 256] : [values.batch, values.steps, values.length].map(Number);
const folder = smoke ? temporaryFolder() : join(root, ".cache/bench");
const model = join(folder, "smollm2");
const [adapter, rowFile, packFile] = ["sft.adapter", "sft.rows.json", "sft.packs.json"].map((name) =>
  join(folder, name),
);
mkdirSync(folder, { recursive: true });
const python = smoke ? undefined : ensureVenv("full");
if (smoke) await tinyModel(model, adapter);
else if (!existsSync(join(model, "config.json"))) run(python, [join(shared, "models/smollm2.py"), model], "text");

const tokenizer = await loadTokenizer(model);
const encoder = new DialogEncoder(
  tokenizer,
  createDialog(tokenizer, smoke ? "ziya" : null, await loadChatTemplate(tokenizer.dir)),
  length,
);
const all = [];
for await (const { row, place } of readRows([smoke ? join(SAMPLE, "sft/validation/zh.jsonl") : values.data]))
  for (const turns of encoder.encode(readConversation(row, { place, toolFormat: null })))
    all.push(joinTurns(turns, false));
const rows = Array.from(shuffledOrder(all.length, 42).subarray(0, (steps + 1) * batch), (index) => ({
  ids: [...all[index].ids],
  labels: [...all[index].labels],
}));
const slices = (list, size) =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
const batches = slices(rows, batch);
const lengths = rows.map(({ ids }) => ids.length);
// The warm-up step's rows stay as they are, so that both count the same conversations.
const counted = rows.slice(batch);
const packs = packLengths(lengths.slice(batch), length).map((pack) => pack.map((index) => counted[index]));
const packed = [batches[0], ...slices(packs, batch).map((packs) => packs.flat())];
writeFileSync(rowFile, JSON.stringify(batches));
writeFileSync(packFile, JSON.stringify(packed));
const tokens = counted.reduce((sum, { ids }) => sum + ids.length, 0);

const theirs = (checkpointing, dropout = 0.05) =>
  run(python, [
    join(root, "tools/bench/sft.py"),
    ...["--model-dir", model, "--adapter-dir", adapter, "--batches", rowFile, "--dtype", values.dtype],
    ...["--dropout", dropout, ...(checkpointing ? ["--grad-checkpointing"] : [])],
  ]);
const ours = (file, count, dropout = 0.05) =>
  run(process.execPath, [
    join(root, "tools/bench/ours.mjs"),
    ...["--model-dir", model, "--adapter-dir", adapter, "--batches", file, "--dtype", values.dtype],
    ...["--batch", 1, "--seq", length, "--steps", count - 1, "--dropout", dropout],
    ...(smoke ? ["--smoke"] : []),
  ]);

// The same losses first, or the times mean nothing.
const same = ours(rowFile, batches.length, 0);
if (!smoke) {
  const reference = theirs(false, 0);
  const apart = Math.max(...reference.loss.map((loss, step) => Math.abs(loss - same.loss[step])));
  if (!(apart < (values.dtype === "float32" ? 1e-3 : 1e-1)))
    throw new Error(`the losses differ by ${apart}: ours ${same.loss}, theirs ${reference.loss}`);
  console.log(
    `SmolLM2-135M, ${counted.length} conversations, ${batch} a step, ${values.dtype}: ${tokens} tokens, ` +
      `${Math.round(100 * (1 - tokens / reference.slots))} % of their slots are padding; losses within ${apart.toExponential(1)}`,
  );
}
const best = {};
const line = (what, { seconds, peak_mib, other_cores }) => {
  const rate = tokens / seconds;
  best[what] = rate;
  const memory = `${peak_mib.toFixed(0).padStart(6)} MiB`;
  console.log(
    `  ${what.padEnd(24)} ${rate.toFixed(1).padStart(7)} tokens/s ${memory}, others ${other_cores.toFixed(2)} cores`,
  );
};
const total = (result) => ({ ...result, seconds: result.counted_s.reduce((a, b) => a + b, 0) });
line("ours", total(ours(rowFile, batches.length)));
if (!smoke) line("theirs", theirs(false));
line("ours, packed", total(ours(packFile, packed.length)));
if (!smoke) {
  line("theirs, checkpointing", theirs(true));
  const ratio = (a, b) => (best[a] / best[b]).toFixed(2);
  console.log(
    `  ours / theirs ${ratio("ours", "theirs")}, packed ${ratio("ours, packed", "theirs")}; ` +
      `with their checkpointing ${ratio("ours", "theirs, checkpointing")} and ${ratio("ours, packed", "theirs, checkpointing")}`,
  );
}

/** Runs a program that prints one JSON line. */
function run(program, args, kind = "json") {
  const { status, stdout, stderr } = spawnSync(program, args.map(String), { encoding: "utf8", maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}\n${stderr}`);
  return kind === "json" ? JSON.parse(stdout.trim().split("\n").at(-1)) : stdout;
}
