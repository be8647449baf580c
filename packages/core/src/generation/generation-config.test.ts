import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readGenerationConfig, resolveGenerationConfig, type GenerationConfig } from "./index.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-generation-config-"));
afterAll(() => rmSync(root, { recursive: true }));

/** What a folder with this file says, and what is warned of. */
async function read(values: object, file = "generation_config.json") {
  const dir = mkdtempSync(join(root, "model-"));
  writeFileSync(join(dir, file), JSON.stringify(values));
  const warnings: string[] = [];
  const config = await readGenerationConfig(dir, (text) => warnings.push(text.replace(`${dir}/`, "")));
  return { config, warnings };
}

describe("generation_config.json", () => {
  it("gives the keys that are acted on and names the others", async () => {
    const acted = { suppress_tokens: [4], do_sample: true, temperature: 0.6, eos_token_id: [1, 2], max_length: 4096 };
    const unknown = { guidance_scale: 1.5, force_words_ids: [[7]], chat_format: "chatml", seed: 3, max_time: 2 };
    const { config, warnings } = await read({ ...acted, ...unknown });
    expect(config).toEqual(acted);
    expect(warnings).toHaveLength(Object.keys(unknown).length);
    Object.entries(unknown).forEach(([key, value], index) => {
      expect(warnings[index]).toContain(`generation_config.json: "${key}" is ${JSON.stringify(value)}`);
    });
  });

  it.each([
    ["null", { guidance_scale: null, watermarking_config: null, force_words_ids: null, temperature: null }],
    ["transformers' defaults", { guidance_scale: 1, num_beam_groups: 1, diversity_penalty: 0, penalty_alpha: 0.0 }],
    ["false and empty", { token_healing: false, is_assistant: false, dola_layers: [], constraints: [] }],
    ["what changes no token", { transformers_version: "5.0", use_cache: true, output_scores: true, pad_token_id: 0 }],
    ["what saves time", { cache_implementation: "static", prompt_lookup_num_tokens: 3, num_assistant_tokens: 20 }],
  ])("is silent on %s", async (_, values) => {
    expect(await read(values)).toEqual({ config: {}, warnings: [] });
  });

  it("is not judged before what replaces it is known", async () => {
    expect((await read({ temperature: -1, num_beams: "many" })).config).toEqual({ temperature: -1, num_beams: "many" });
  });

  it("may be missing: config.json says what ends a text", async () => {
    const config = { eos_token_id: [5, 6], temperature: 3 };
    expect(await read(config, "config.json")).toEqual({ config: { eos_token_id: [5, 6] }, warnings: [] });
    const nested = { text_config: { eos_token_id: 9 } };
    expect((await read(nested, "config.json")).config).toEqual({ eos_token_id: 9 });
  });
});

describe("a generation config", () => {
  const sampled = { do_sample: true };
  const wrong: [Record<string, unknown>, string][] = [
    [{ ...sampled, temperature: 0 }, '"temperature": expected a number above 0, got 0'],
    [{ ...sampled, top_k: -1 }, '"top_k": expected a whole number of 0 or more (0 keeps all tokens), got -1'],
    [{ ...sampled, top_p: "0.9" }, '"top_p": expected a number of 0 or more (1 keeps all tokens), got "0.9"'],
    [{ ...sampled, min_p: 2 }, '"min_p": expected a number from 0 to 1, got 2'],
    [{ repetition_penalty: 0 }, '"repetition_penalty": expected a number above 0 (1 changes nothing), got 0'],
    [{ num_beams: 0 }, '"num_beams": expected a whole number of 1 or more, got 0'],
    [{ num_beams: 2, early_stopping: "soon" }, '"early_stopping": expected true, false or "never", got "soon"'],
    [{ max_new_tokens: 0 }, '"max_new_tokens": expected a whole number of 1 or more, got 0'],
    [{ suppress_tokens: 5 }, '"suppress_tokens": expected a list of token ids, got 5'],
    [
      { bad_words_ids: [[]] },
      '"bad_words_ids": expected a list of lists of token ids such as [[699], [10, 45]], got [[]]',
    ],
    [{ sequence_bias: { "(5,)": 1 } }, '"sequence_bias": expected a list of [[token ids], number]'],
    [
      { stop_strings: ["a", ""] },
      '"stop_strings": expected a text or a list of texts, none of them empty, got ["a",""]',
    ],
    [{ forced_eos_token_id: 2, suppress_tokens: [1, 2] }, '"forced_eos_token_id": 2 is forced and ruled out'],
  ];
  it.each(wrong)("refuses %j", (config, message) => {
    expect(() => resolveGenerationConfig(config as Partial<GenerationConfig>)).toThrow(message);
  });

  it("says where a value is and what replaces it, where that is known", () => {
    const source = { place: "m/generation_config.json", remedy: (key: string) => `give --${key}` };
    expect(() => resolveGenerationConfig({ do_sample: true, temperature: 0 }, source)).toThrow(
      'm/generation_config.json: "temperature": expected a number above 0, got 0; give --temperature',
    );
  });

  const unread: Record<string, unknown>[] = [
    { temperature: 0, top_k: -1, top_p: 7, min_p: -1, typical_p: 0, top_h: 9, eta_cutoff: "x", epsilon_cutoff: [] },
    { do_sample: null, num_beams: null, top_k: null, repetition_penalty: null, eos_token_id: null },
    { length_penalty: "long", early_stopping: "soon" },
    { eos_token_id: [], no_repeat_ngram_size: -1, min_new_tokens: -5, min_length: -1, bad_words_ids: [] },
  ];
  it.each(unread)("takes %j where nothing is drawn and no beams are searched", (config) => {
    const { eos_token_id: _, ...resolved } = resolveGenerationConfig(config);
    expect(resolved).toMatchObject({ do_sample: false, num_beams: 1, temperature: 1, repetition_penalty: 1 });
  });

  it.each([{ top_k: 0 }, { top_p: 0 }, { top_p: 1.5 }, { typical_p: 1 }, { epsilon_cutoff: 1 }, { temperature: 2 }])(
    "takes %j where tokens are drawn, as transformers does",
    (config) => {
      expect(resolveGenerationConfig({ do_sample: true, ...config })).toMatchObject(config);
    },
  );
});
