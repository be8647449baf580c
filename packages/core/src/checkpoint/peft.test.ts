import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import type { LoraConfig } from "./lora-config.js";
import { adapterTensors, openAdapterFiles, writeAdapter } from "./peft.js";
import { writeSafetensors } from "./safetensors.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-peft-"));
afterAll(() => rmSync(dir, { recursive: true }));

const PLAIN = { peft_type: "LORA", r: 4, lora_alpha: 8, target_modules: ["q_proj"] };

const LORA: LoraConfig = {
  ...{ r: 4, lora_alpha: 8, lora_dropout: 0, use_rslora: false },
  ...{ target_modules: ["q_proj"], modules_to_save: [] },
};

const MODEL = { base: "base", taskType: "CAUSAL_LM", fanInFanOut: false } as const;

/** Reads an adapter without tensors whose configuration has these keys too. */
async function open(values: Record<string, unknown>) {
  await writeAdapter(dir, LORA, [], MODEL);
  writeFileSync(join(dir, "adapter_config.json"), JSON.stringify({ ...PLAIN, ...values }));
  const said: string[] = [];
  const adapter = await openAdapterFiles(dir, (line) => said.push(line));
  return { adapter, said };
}

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
    [{ use_dora: true }, "use_dora true is not supported: only plain LoRA adapters are"],
    [{ bias: "all" }, 'bias "all" is not supported: only plain LoRA adapters are'],
    [{ target_parameters: ["experts"] }, 'target_parameters ["experts"] is not supported: only plain LoRA'],
  ])("with %j is refused by name", async (values, message) => {
    const file = join(dir, "adapter_config.json");
    writeFileSync(file, JSON.stringify({ ...PLAIN, ...values }));
    const failure: unknown = await openAdapterFiles(dir).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message.startsWith(`${file}: ${message}`), (failure as Error).message).toBe(true);
  });

  // As PEFT 0.21 reads them: those change the base's weights on loading, belong to a base that was changed, or are unknown.
  it.each(["pissa", "pissa_niter_16", "PiSSA", "olora", "OLoRA", "corda", "corda_kpm", "loftq", "lora_ga", "next", 1])(
    "with init_lora_weights %j is refused with a way out",
    async (value) => {
      const failure = await open({ init_lora_weights: value, loftq_config: { loftq_bits: 4 } }).catch(String);
      expect(failure).toContain(`init_lora_weights ${JSON.stringify(value)} is not supported: with it PEFT changes`);
      expect(failure).toContain("path_initial_model_for_weight_conversion");
    },
  );

  it.each([true, false, null, "gaussian", "Gaussian", "eva", "orthogonal", undefined])(
    "with init_lora_weights %j is read without a word",
    async (value) => {
      const settings = { eva_config: { rho: 2 }, corda_config: { verbose: true }, loftq_config: { loftq_bits: 4 } };
      expect((await open({ init_lora_weights: value, ...settings })).said).toEqual([]);
    },
  );

  it("with init_lora_weights MiCA is read, and what training does with it is said", async () => {
    expect((await open({ init_lora_weights: "mica" })).said).toEqual([
      expect.stringContaining(
        'adapter_config.json: init_lora_weights "mica": training this adapter on changes lora_B too',
      ),
    ]);
  });

  it("is warned of by key and value where nothing is known of a key, and not where it asks for nothing", async () => {
    const none = { later_key: null, other_key: false, empty_key: {}, lists: [] };
    expect((await open(none)).said).toEqual([]);
    const { said } = await open({ ...none, output_multiplier: 2.0, lora_gate: "sigmoid", zero: 0 });
    expect(said).toEqual(
      ['"output_multiplier" is 2', '"lora_gate" is "sigmoid"', '"zero" is 0'].map(
        (what) => `${join(dir, "adapter_config.json")}: ${what}, which is not known here and not acted on`,
      ),
    );
  });

  it("as PEFT writes it asks for nothing that is not known", async () => {
    await writeAdapter(dir, LORA, [], MODEL);
    const said: string[] = [];
    await openAdapterFiles(dir, (line) => said.push(line));
    expect(said).toEqual([]);
  });

  it("keeps what it says when it is written and read again", async () => {
    const config: LoraConfig = {
      ...{ r: 4, lora_alpha: 8, lora_dropout: 0.1, use_rslora: true, modules_to_save: ["lm_head"] },
      ...{ target_modules: ["q_proj", "v_proj"], exclude_modules: ".*\\.2\\..*" },
      ...{ layers_to_transform: [0, 2], layers_pattern: ["layers"] },
      ...{ rank_pattern: { q_proj: 6 }, alpha_pattern: { "^v.*": 24 } },
    };
    await writeAdapter(dir, config, [], { ...MODEL, fanInFanOut: true });
    const { config: read, factors, saved } = await openAdapterFiles(dir);
    expect(read).toEqual(config);
    expect([factors.size, saved.size]).toEqual([0, 0]);
  });
});

describe("names in an adapter file", () => {
  const MODULE = "model.layers.0.self_attn.q_proj";
  const PLAIN_NAMES = [`${MODULE}.lora_A.weight`, `${MODULE}.lora_B.weight`, "model.norm.weight"];

  /** The names of an adapter with these tensors. */
  async function namesOf(...names: string[]): Promise<string[]> {
    await writeAdapter(dir, LORA, [], MODEL);
    const tensors = names.map((name) => ({ name, dtype: "f32" as const, shape: [1], data: new Uint8Array(4) }));
    await writeSafetensors(join(dir, "adapter_model.safetensors"), tensors);
    return [...adapterTensors(await openAdapterFiles(dir)).keys()].sort();
  }

  it.each([
    ["are PEFT's", (name: string) => `base_model.model.${name}`],
    ["have the adapter's name left in", (name) => `base_model.model.${name.replace(/\.weight$/, ".default.weight")}`],
    ["have no prefix", (name) => name],
    ["have the prefix twice", (name) => `base_model.model.base_model.model.${name}`],
    ["are those of a parallel model", (name) => `module.base_model.model.${name}`],
    ["are those of a compiled model", (name) => `_orig_mod.base_model.model.${name}`],
    [
      "are those of a model that is compiled by layers and sharded",
      (name) => `_fsdp_wrapped_module.base_model.model.${name.replace("layers.0", "layers.0._orig_mod")}`,
    ],
    [
      "are those of layers that are computed twice",
      (name) => `module.base_model.model.${name.replace("self_attn", "_checkpoint_wrapped_module.self_attn")}`,
    ],
  ])("are read where they %s", async (_, written) => {
    expect(await namesOf(...PLAIN_NAMES.map(written))).toEqual(PLAIN_NAMES);
  });

  it("are read with an adapter's own name and what PEFT keeps beside a module that it trains whole", async () => {
    const names = await namesOf(
      `base_model.model.${MODULE}.lora_A.sft.weight`,
      `base_model.model.${MODULE}.lora_B.sft.weight`,
      "base_model.model.lm_head.modules_to_save.sft.weight",
      "base_model.model.lm_head.original_module.weight",
      "base_model.model.model.embed_tokens.base_layer.weight",
    );
    expect(names).toEqual(["lm_head.weight", "model.embed_tokens.weight", ...PLAIN_NAMES.slice(0, 2)]);
  });

  it("are refused where they are those of two adapters, or twice the same", async () => {
    const [a, b] = [`base_model.model.${MODULE}.lora_A.one.weight`, `base_model.model.${MODULE}.lora_B.two.weight`];
    await expect(namesOf(a, b)).rejects.toThrow(/holds two adapters, "one" \(.*lora_A\.one.*\) and "two" /);
    await expect(namesOf(`${MODULE}.lora_A.weight`, `module.${MODULE}.lora_A.weight`)).rejects.toThrow(
      `both stand for ${MODULE}.lora_A.weight`,
    );
  });
});
