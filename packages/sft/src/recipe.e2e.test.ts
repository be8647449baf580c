import { chooseBackend } from "@medgpt/core/backends";
import { createChatForm } from "@medgpt/core/chat";
import { parseFlags } from "@medgpt/core/config";
import { loadCausalLm, tokenLoss, type CausalLm } from "@medgpt/core/models";
import type { Batch } from "@medgpt/core/data";
import { noGrad } from "@medgpt/core/tensor";
import {
  backends,
  checkpoints,
  FAMILIES,
  logged,
  readJson,
  snapshot,
  type Flags,
  type Toys,
} from "@medgpt/core/testing";
import { loadChatTemplate, loadTokenizer } from "@medgpt/core/tokenizer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sftSchema } from "./config.js";
import { loadData } from "./data.js";
import { makeToys } from "./testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
});
afterAll(() => toys.remove());

describe.each(backends)("fine-tuning on %s", (backend) => {
  const run = (output: string, flags: Flags = {}) => toys.run(`${backend}/${output}`, { backend, ...flags });

  it("lowers the loss of answers, and writes an adapter with its log and metrics", async () => {
    const held = { do_eval: true, validation_file_dir: toys.at("held"), eval_on_start: true, eval_strategy: "epoch" };
    const { dir } = await run("learns", { ...held, num_train_epochs: 6 });
    const losses = (await logged(dir)).flatMap(({ eval_loss }) => eval_loss ?? []);
    expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.3);
    const results = await readJson(dir, "all_results.json");
    expect(results).toMatchObject({ eval_samples: 6, train_samples: 20, eval_loss: losses.at(-1) });
    const manifest = await readJson<{ kind: string; createdBy: { package: string } }>(dir, "medgpt.json");
    expect(manifest).toMatchObject({ kind: "adapter", createdBy: { package: "@medgpt/sft" } });
    const named = createChatForm(await loadTokenizer(dir), "ziya", undefined)!;
    const found = createChatForm(await loadTokenizer(dir), null, await loadChatTemplate(dir))!;
    const messages = [{ role: "user", content: "Is it serious?" }];
    expect(found.prompt(messages)).toBe(named.prompt(messages));
    expect((await readJson<{ files: object }>(dir, "medgpt.json")).files).toHaveProperty(["chat_template.jinja"]);
    expect(Object.keys((await snapshot(dir))!)).toEqual(
      expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors", "README.md", "tokenizer.json"]),
    );
  });

  it("gives the same bits again, and after it was interrupted", async () => {
    const whole = await run("whole", { neft_alpha: 5 });
    const again = await run("again", { neft_alpha: 5 });
    expect((await snapshot(again.dir))!["adapter_model.safetensors"]).toBe(
      (await snapshot(whole.dir))!["adapter_model.safetensors"],
    );
    const flags = { neft_alpha: 5, save_strategy: "steps", save_steps: 3 };
    const controller = new AbortController();
    const stop = toys.run(
      `${backend}/stopped`,
      { backend, ...flags },
      {
        signal: controller.signal,
        onEvent: (event) => {
          if (event.type === "step" && event.step === 4) controller.abort();
        },
      },
    );
    await expect(stop).rejects.toThrow();
    const { dir } = await run("stopped", { ...flags, resume_from_checkpoint: true });
    // The last row has train_loss, the mean over the last process's steps.
    expect((await logged(dir)).slice(0, -1)).toEqual((await logged(whole.dir)).slice(0, -1));
    expect((await snapshot(dir))!["adapter_model.safetensors"]).toBe(
      (await snapshot(whole.dir))!["adapter_model.safetensors"],
    );
    expect(await checkpoints(dir)).toContain(10);
  });
});

describe("what is trained on", () => {
  it("has noise on its embeddings with neft_alpha, and none in evaluation", async () => {
    const held = { do_eval: true, validation_file_dir: toys.at("held"), eval_on_start: true, eval_strategy: "epoch" };
    const plain = await logged((await toys.run("plain", held)).dir);
    const noisy = await logged((await toys.run("noisy", { ...held, neft_alpha: 5 })).dir);
    const of = (rows: typeof plain, key: string) => rows.flatMap((row) => row[key] ?? []);
    expect(of(noisy, "eval_loss")[0]).toBe(of(plain, "eval_loss")[0]);
    expect(of(noisy, "loss")[0]).not.toBe(of(plain, "loss")[0]);
  });

  it("reaches beyond the model's positions with rope_scaling", async () => {
    const long = { model_max_length: 200 };
    await expect(toys.run("beyond", long)).rejects.toThrow("--model_max_length 200: the model has only 128 positions");
    const scaled: number[] = [];
    for (const rope_scaling of ["linear", "dynamic"])
      scaled.push((await logged((await toys.run(rope_scaling, { ...long, rope_scaling })).dir))[0]!["loss"]!);
    // Dynamic scaling changes nothing as long as sequences fit; linear scaling does.
    const plain = (await logged((await toys.run("within", {})).dir))[0]!["loss"]!;
    expect(scaled[1]).toBe(plain);
    expect(scaled[0]).not.toBe(plain);
    const full = await toys.run("full", { ...long, rope_scaling: "linear", use_peft: false });
    expect(await readJson(full.dir, "config.json")).toMatchObject({
      rope_parameters: { rope_type: "linear", factor: 2 },
    });
    await expect(
      toys.run("alibi", { ...long, model_name_or_path: toys.at("bloom"), rope_scaling: "linear" }),
    ).rejects.toThrow("no rotary positions");
  });
});

describe("a pack of conversations that stay apart", () => {
  it.each(FAMILIES)("has the loss of the conversations alone, for %s", async (family) => {
    const { backend } = await chooseBackend({});
    const model = await loadCausalLm(toys.at(family), { backend });
    const tokenizer = await loadTokenizer(toys.at(family));
    const nll = async (flags: Flags): Promise<number[]> => {
      const { config } = parseFlags(sftSchema, toys.argv("unused", { model_name_or_path: toys.at(family), ...flags }));
      await using data = await loadData(config, tokenizer, { log: () => {} });
      const { train } = data;
      const losses: number[] = [];
      for (let row = 0; row < train.rows; row++) losses.push(await sumOfLoss(model, await train.batch([row])));
      return losses;
    };
    const [packed, alone] = [await nll({ neat_packing: true }), await nll({})];
    expect(packed.length).toBeLessThan(alone.length);
    const total = (losses: readonly number[]) => losses.reduce((a, b) => a + b, 0);
    expect(Math.abs(total(packed) / total(alone) - 1)).toBeLessThan(1e-5);
    const joined = await nll({ packing: true });
    expect(joined).not.toEqual(packed);
    await backend.dispose();
  });
});

async function sumOfLoss(model: CausalLm, batch: Batch): Promise<number> {
  const { nll, correct } = noGrad(() => tokenLoss(model, batch));
  correct.dispose();
  const values = await nll.read();
  nll.dispose();
  return Array.from(values).reduce((a, b) => a + b, 0);
}
