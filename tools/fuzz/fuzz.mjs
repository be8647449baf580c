/**
 * `npm run fuzz -- --minutes 10 --seed 7`: feeds the parsers mutations of valid files. Each must work or throw an error of
 * ours that blames the input (InputError, ArtifactError): no other error, no crash, nothing longer than five seconds,
 * nothing above two gigabytes. A failing input is saved under .cache/fuzz with what happened.
 *
 * The inputs run in a child process. Number N of a seed is the same input everywhere, so that the parent needs only the
 * number to know which one crashed or hung: --seed S --input N runs that one alone. --target NAME keeps to one parser.
 */
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { generator, mutateBytes, mutateJson, mutateText } from "./mutate.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const HANG_MS = 5_000;
const MAX_RSS = 2 * 2 ** 30;
/** Failures after which a run stops. */
const ENOUGH = 20;

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string", default: "1" },
    target: { type: "string" },
    input: { type: "string" },
    worker: { type: "string" },
    first: { type: "string" },
  },
});
const seed = Number(values.seed);
const seconds = values.seconds === undefined ? 60 * Number(values.minutes ?? 1) : Number(values.seconds);

/** Input number `number`: the target, the seed's folder, and the file of it that is replaced. */
function inputOf(targets, number) {
  const random = generator(seed, number);
  const target = targets[number % targets.length];
  const index = random.below(target.seeds.length);
  const files = target.seeds[index];
  const other = random.pick(target.seeds);
  const names = Object.keys(files);
  const file =
    target.mostly !== undefined && target.mostly in files && random.chance(0.7) ? target.mostly : random.pick(names);
  const donor = other[file] ?? Object.values(other)[0];
  const data = mutate(file, files[file], donor, random);
  return { target, index, file, data };
}

function mutate(file, data, donor, random) {
  if (file.endsWith(".safetensors")) return mutateSafetensors(data, donor, random);
  if (/\.jsonl?$/.test(file)) return mutateText(data.toString("utf8"), donor.toString("utf8"), random);
  return mutateBytes(data, donor, random);
}

/** The header's text, its length or any bytes. */
function mutateSafetensors(data, donor, random) {
  const end = 8 + Number(data.readBigUInt64LE());
  if (random.chance(0.3) || donor.length < 8) return mutateBytes(data, donor, random);
  const text = data.toString("utf8", 8, end);
  const header = Buffer.from(random.chance(0.8) ? mutateJson(text, donor.toString("latin1", 8, 400), random) : text);
  const length = Buffer.alloc(8);
  const lengths = [0, header.length + 1, 2 ** 30, 2 ** 53];
  length.writeBigUInt64LE(
    random.chance(0.1) ? random.pick([...lengths.map(BigInt), 2n ** 63n, 2n ** 64n - 1n]) : BigInt(header.length),
  );
  return Buffer.concat([length, header, data.subarray(end)]);
}

/** In the child: runs inputs from `first` on, and says in a file which one it is at. */
async function work(scratch, first) {
  const { makeTargets } = await import("./targets.mjs");
  const { MedgptError } = await import("../../packages/artifacts/dist/index.js");
  const all = await makeTargets(scratch);
  const targets = all.filter(({ name }) => values.target === undefined || values.target === name);
  if (targets.length === 0) throw new Error(`--target: expected one of ${all.map(({ name }) => name).join(", ")}`);
  const at = openSync(join(scratch, "at"), "w");
  const last = values.input === undefined ? Infinity : first;

  for (let number = first; number <= last; number++) {
    const { target, index, file, data } = inputOf(targets, number);
    const dir = join(scratch, "seeds", target.name, String(index));
    // In one write of one length, so that it is whole whenever this process ends.
    writeSync(at, JSON.stringify({ number, target: target.name, dir, file }).padEnd(1000), 0);
    writeFileSync(join(dir, file), data);
    const fail = (problem) => process.send({ number, target: target.name, dir, file, problem });
    try {
      await target.run(dir, { ...target.seeds[index], [file]: data });
    } catch (error) {
      if (!MedgptError.isInstance(error) || !error.userError) await save(fail, String(error?.stack ?? error));
      else if (/\p{Cc}/u.test(error.message)) await save(fail, `not one line: ${JSON.stringify(error.message)}`);
    }
    if (process.memoryUsage.rss() > MAX_RSS) throw new Error(`${process.memoryUsage.rss()} bytes of memory`);
    writeFileSync(join(dir, file), target.seeds[index][file]);
  }
  process.disconnect();
}

/** Waits until the parent has copied the input. */
function save(fail, problem) {
  return new Promise((resolve) => {
    process.once("message", resolve);
    fail(problem);
  });
}

/** In the parent: starts children until the time is over, watches them, and saves what fails. */
async function watch() {
  const scratch = mkdtempSync(join(tmpdir(), "medgpt-fuzz-"));
  const until = Date.now() + 1000 * seconds;
  let next = Number(values.input ?? 0);
  const begin = next;
  let failures = 0;
  const seen = new Set();
  const keep = ({ number, target, dir, file, problem }) => {
    // The same fault of another input: its first two lines are the error and where it was thrown.
    const kind = `${target}: ${problem.split("\n").slice(0, 2).join(" ").replaceAll(/\d+/g, "0")}`;
    if (seen.has(kind)) return;
    seen.add(kind);
    failures++;
    const saved = join(root, ".cache/fuzz", `${target}-${seed}-${number}`);
    rmSync(saved, { recursive: true, force: true });
    mkdirSync(dirname(saved), { recursive: true });
    cpSync(dir, saved, { recursive: true });
    writeFileSync(join(saved, "problem.txt"), `${file}\n${problem}\n`);
    console.error(
      `FAILED ${target}: ${problem}\n  in ${saved}; again: npm run fuzz -- --seed ${seed} --input ${number}\n`,
    );
  };

  while (Date.now() < until && failures < ENOUGH && (values.input === undefined || next === begin)) {
    const folder = join(scratch, String(next));
    mkdirSync(folder);
    /** What the child is at; undefined as long as it has not begun. */
    const place = () => {
      const text = existsSync(join(folder, "at")) ? readFileSync(join(folder, "at"), "utf8") : "";
      return text === "" ? undefined : JSON.parse(text);
    };
    const argv = process.argv.slice(2).concat("--worker", folder, "--first", String(next));
    const child = spawn(process.execPath, ["--max-old-space-size=1536", fileURLToPath(import.meta.url), ...argv], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let stderr = "";
    child.stderr.on("data", (data) => (stderr = (stderr + data).slice(-4000)));
    child.on("message", (failure) => {
      keep(failure);
      if (failures >= ENOUGH) child.kill("SIGKILL");
      else child.send("saved", () => undefined);
    });
    let [number, since, ended] = [-1, Date.now(), ""];
    const watcher = setInterval(() => {
      const now = place()?.number ?? -1;
      if (now !== number) [number, since] = [now, Date.now()];
      if (Date.now() - since > HANG_MS && number >= 0) ended = `took more than ${HANG_MS / 1000} s`;
      if (Date.now() > until) ended ||= "time";
      if (ended !== "") child.kill("SIGKILL");
    }, 200);
    const [code, signal] = await new Promise((resolve) => child.on("close", (...status) => resolve(status)));
    clearInterval(watcher);
    const last = place();
    if (last === undefined) throw new Error(`the child did not begin:\n${stderr}`);
    if (ended !== "time" && code !== 0 && failures < ENOUGH)
      keep({ ...last, problem: ended || `the process ended with ${signal ?? code}\n${stderr}` });
    next = last.number + 1;
    rmSync(folder, { recursive: true });
  }
  rmSync(scratch, { recursive: true });
  console.log(`fuzz: ${next - begin} inputs of seed ${seed}, ${failures} failures`);
  process.exitCode = failures === 0 && next > begin ? 0 : 1;
}

if (values.worker === undefined) await watch();
else await work(values.worker, Number(values.first));
