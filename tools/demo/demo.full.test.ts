/** The README's first command, run twice: it must learn, and give the same bits again. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const script = fileURLToPath(new URL("demo.mjs", import.meta.url));

let dir: string;
let runs: { output: string; at: string }[];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "medgpt-demo-"));
  runs = ["first", "second"].map((name) => {
    const at = join(dir, name);
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, "--output", at], { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    return { output: stdout, at };
  });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe("the demo", () => {
  it("lowers the loss of the answers in held-out dialogues", () => {
    const { log_history } = JSON.parse(readFileSync(join(runs[0]!.at, "sft/trainer_state.json"), "utf8")) as {
      log_history: { eval_loss?: number }[];
    };
    const losses = log_history.flatMap(({ eval_loss }) => eval_loss ?? []);
    expect(losses.length).toBeGreaterThan(2);
    expect(losses.at(-1)).toBeLessThan(0.6 * losses[0]!);
  });

  it("answers three questions before and after, the same ones both times", () => {
    const asked = runs.map(({ output }) => output.slice(output.indexOf("Loss of answers"), output.indexOf("\nIn ")));
    expect(asked[0]!.match(/^\? /gm)).toHaveLength(3);
    expect(asked[0]!.match(/^ {2}(before|after): {1,2}\S/gm)).toHaveLength(6);
    expect(asked[1]).toBe(asked[0]);
  });

  it("says what pretraining and fine-tuning brought, and what to type next", () => {
    const { output } = runs[0]!;
    const loss = (what: string) => Number(new RegExp(`^ {2}${what} +([0-9.]+)$`, "m").exec(output)?.[1]);
    expect(loss("pretrained and fine-tuned")).toBeLessThan(loss("fine-tuned without pretraining"));
    expect(loss("fine-tuned without pretraining")).toBeLessThan(loss("every token equally likely"));
    const commands = output.match(/^\$ .*/gm)!;
    expect(commands.map((line) => line.split(" ").slice(0, 4).join(" "))).toEqual(
      ["pretrain", "sft", "sft"].map((command) => `$ npx medgpt ${command}`),
    );
    expect(output.slice(output.indexOf("To try next:"))).toMatch(/^To try next:\n( {2}npx medgpt \w+ --.*\n){2}$/);
  });

  it("writes the same models again", () => {
    const digests = runs.map(({ at }) =>
      ["pretrained", "sft"].map((stage) =>
        createHash("sha256")
          .update(readFileSync(join(at, stage, "model.safetensors")))
          .digest("hex"),
      ),
    );
    expect(digests[1]).toEqual(digests[0]);
  });
});
