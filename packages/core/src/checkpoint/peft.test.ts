import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import type { LoraConfig } from "../nn/lora.js";
import { openAdapter, writeAdapter } from "./peft.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-peft-"));
afterAll(() => rmSync(dir, { recursive: true }));

const PLAIN = { peft_type: "LORA", r: 4, lora_alpha: 8, target_modules: ["q_proj"] };

describe("an adapter_config.json", () => {
  it.each([
    [{ peft_type: "LOHA" }, 'expected peft_type "LORA", got "LOHA"'],
    [{ r: "4" }, 'expected "r" to be a number, got "4"'],
    [{ lora_alpha: null }, 'expected "lora_alpha" to be a number, got null'],
    [{ target_modules: null }, 'expected "target_modules" to be names or a pattern, got null'],
    [{ target_modules: [1] }, 'expected "target_modules" to be names or a pattern, got [1]'],
    [{ exclude_modules: 3 }, 'expected "exclude_modules" to be names or a pattern, got 3'],
    [{ modules_to_save: "lm_head" }, 'expected "modules_to_save" to be names, got "lm_head"'],
    [{ rank_pattern: { q_proj: "6" } }, 'expected "rank_pattern" to be an object of numbers, got {"q_proj":"6"}'],
    [{ alpha_pattern: [6] }, 'expected "alpha_pattern" to be an object of numbers, got [6]'],
    [{ layers_to_transform: [1.5] }, 'expected "layers_to_transform" to be whole numbers, got [1.5]'],
    [{ layers_pattern: [1] }, 'expected "layers_pattern" to be names, got [1]'],
    [{ use_rslora: "yes" }, 'expected "use_rslora" to be true or false, got "yes"'],
    [
      { layers_to_transform: [1], target_modules: ".*q_proj" },
      '"layers_to_transform" needs "target_modules" to be a list of names',
    ],
    [{ use_dora: true }, "use_dora = true is not supported; only plain LoRA adapters are"],
    [{ bias: "all" }, 'bias = "all" is not supported; only plain LoRA adapters are'],
    [{ target_parameters: ["experts"] }, 'target_parameters = ["experts"] is not supported; only plain LoRA'],
  ])("with %j is refused by name", async (values, message) => {
    const file = join(dir, "adapter_config.json");
    writeFileSync(file, JSON.stringify({ ...PLAIN, ...values }));
    const failure: unknown = await openAdapter(dir).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message.startsWith(`${file}: ${message}`), (failure as Error).message).toBe(true);
  });

  it("keeps what it says when it is written and read again", async () => {
    const config: LoraConfig = {
      ...{ r: 4, lora_alpha: 8, lora_dropout: 0.1, use_rslora: true, modules_to_save: ["lm_head"] },
      ...{ target_modules: ["q_proj", "v_proj"], exclude_modules: ".*\\.2\\..*" },
      ...{ layers_to_transform: [0, 2], layers_pattern: ["layers"] },
      ...{ rank_pattern: { q_proj: 6 }, alpha_pattern: { "^v.*": 24 } },
    };
    await writeAdapter(dir, config, "base", [], true);
    const { config: read, factors, saved } = await openAdapter(dir);
    expect(read).toEqual(config);
    expect([factors.size, saved.size]).toEqual([0, 0]);
  });
});
