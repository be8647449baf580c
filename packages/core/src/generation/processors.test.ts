/** What is done to scores, to the letter of transformers' generation/logits_process.py, whose formulas gave these numbers. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadCausalLm } from "../models/index.js";
import { availableBackends } from "../testing/each-backend.js";
import { caseDir, caseModel } from "../testing/goldens.js";
import { loadTokenizer } from "../tokenizer/index.js";
import { generate, readGenerationConfig, resolveGenerationConfig, type GenerationConfig } from "./index.js";
import { adjustScores, processors, warp } from "./processors.js";

const backends = await availableBackends();
const NO = -Infinity;
const SCORES = [1, -2, 3, 0.5, -1];

/** The scores of five tokens after these, of which the first `start` are the prompt. */
function processed(config: Partial<GenerationConfig>, history: number[], start = history.length, limit = 100) {
  const scores = Float32Array.from(SCORES);
  const full = resolveGenerationConfig(config);
  adjustScores(scores, processors(full, scores.length), { history, start, limit });
  return [...scores].map((score) => Math.round(score * 1e4) / 1e4);
}

function warped(config: Partial<GenerationConfig>, scores = SCORES) {
  const out = Float32Array.from(scores);
  warp(out, resolveGenerationConfig({ do_sample: true, top_k: 0, ...config }));
  return [...out];
}

describe("processors", () => {
  it("rule out tokens always, or as the first", () => {
    expect(processed({ suppress_tokens: [2, 0, 99, -1] }, [3])).toEqual([NO, -2, NO, 0.5, -1]);
    expect(processed({ begin_suppress_tokens: [2] }, [3, 3])).toEqual([1, -2, NO, 0.5, -1]);
    expect(processed({ begin_suppress_tokens: [2] }, [3, 3, 4], 2)).toEqual(SCORES);
    // After a prompt of one token whose next is forced, the one after that is the first.
    const forced = { begin_suppress_tokens: [2], forced_bos_token_id: 4 };
    expect(processed(forced, [3])).toEqual([NO, NO, NO, NO, 0]);
    expect(processed(forced, [3, 4], 1)).toEqual([1, -2, NO, 0.5, -1]);
  });

  it("rule out bad words: the last token after the others, and never the end of text alone", () => {
    const bad = (history: number[], eos: number | null = null) =>
      processed({ bad_words_ids: [[0], [1, 2], [3, 3, 4]], eos_token_id: eos }, history);
    expect(bad([4])).toEqual([NO, -2, 3, 0.5, -1]);
    expect(bad([4, 1])).toEqual([NO, -2, NO, 0.5, -1]);
    expect(bad([2, 3, 3])).toEqual([NO, -2, 3, 0.5, NO]);
    expect(bad([3])).toEqual([NO, -2, 3, 0.5, -1]); // shorter than the sequence
    expect(bad([4], 0)).toEqual(SCORES);
    expect(() => processed({ bad_words_ids: [[5]] }, [0])).toThrow(
      '"bad_words_ids": there is no token 5; the model has 5',
    );
  });

  it("add biases, those of one token together and of one sequence the last", () => {
    const bias: [number[], number][] = [
      [[1], 5],
      [[0, 1], 0.25],
      [[4, 0, 1], -1],
      [[2], 9],
      [[2], -3],
    ];
    expect(processed({ sequence_bias: bias }, [4, 0])).toEqual([1, 2.25, 0, 0.5, -1]);
    expect(processed({ sequence_bias: bias }, [0])).toEqual([1, 3.25, 0, 0.5, -1]);
  });

  it("let no text end before its least length, of which min_new_tokens goes before min_length", () => {
    const eos = { eos_token_id: [2, 3] };
    const banned = [1, -2, NO, NO, -1];
    expect(processed({ ...eos, min_length: 3 }, [0, 1], 2)).toEqual(banned);
    expect(processed({ ...eos, min_length: 3 }, [0, 1, 1], 2)).toEqual(SCORES);
    expect(processed({ ...eos, min_new_tokens: 2 }, [0, 1, 1], 2)).toEqual(banned);
    expect(processed({ ...eos, min_new_tokens: 1, min_length: 9 }, [0, 1, 1], 2)).toEqual(SCORES);
  });

  it("force the first token after a prompt of one, and the last before the length runs out", () => {
    expect(processed({ forced_bos_token_id: 3 }, [0])).toEqual([NO, NO, NO, 0, NO]);
    expect(processed({ forced_bos_token_id: 3 }, [0, 1])).toEqual(SCORES);
    expect(processed({ forced_eos_token_id: [3, 4] }, [0, 1, 1], 2, 4)).toEqual([NO, NO, NO, 0, 0]);
    expect(processed({ forced_eos_token_id: 3 }, [0, 1, 1], 2, 5)).toEqual(SCORES);
  });

  it("make the end likelier as the text gets longer", () => {
    const config = { eos_token_id: 1, exponential_decay_length_penalty: [1, 1.5] as [number, number] };
    expect(processed(config, [0, 0], 1)).toEqual(SCORES);
    // -2 + |-2| (1.5 ** 2 - 1)
    expect(processed(config, [0, 0, 0, 0], 1)).toEqual([1, 0.5, 3, 0.5, -1]);
  });

  it("look at the prompt alone for the encoder's penalties", () => {
    // The inverse of the penalty: times 2 above 0, by 2 below.
    expect(processed({ encoder_repetition_penalty: 2 }, [0, 1, 2], 2)).toEqual([2, -1, 3, 0.5, -1]);
    expect(processed({ encoder_no_repeat_ngram_size: 2 }, [0, 1, 4, 2, 0], 3)).toEqual([1, NO, 3, 0.5, -1]);
    expect(processed({ encoder_no_repeat_ngram_size: 2 }, [0, 1, 2, 4, 2], 2)).toEqual(SCORES);
  });

  it("come in transformers' order", () => {
    // The bias before the penalty, which halves it; what is ruled out after the end was made likelier stays ruled out.
    const config = { sequence_bias: [[[0], 3]] as [number[], number][], repetition_penalty: 2 };
    expect(processed(config, [0])).toEqual([2, -2, 3, 0.5, -1]);
    const late = { eos_token_id: 1, exponential_decay_length_penalty: [0, 3] as [number, number] };
    expect(processed({ ...late, suppress_tokens: [1] }, [0, 0], 1)).toEqual([1, NO, 3, 0.5, -1]);
    // Infinite values are made finite before tokens are suppressed.
    const finite = processed({ bad_words_ids: [[0]], suppress_tokens: [3], remove_invalid_values: true }, [0]);
    expect(finite[0]).toBeLessThan(-1e38);
    expect(finite[0]).toBeGreaterThan(NO);
    expect(finite[3]).toBe(NO);
  });

  it("replace scores that are no numbers", () => {
    const scores = Float32Array.of(NaN, Infinity, -Infinity, 1);
    adjustScores(scores, processors(resolveGenerationConfig({ remove_invalid_values: true }), 4), {
      ...{ history: [0], start: 1, limit: 9 },
    });
    expect([...scores]).toEqual([0, Math.fround(3.4028234663852886e38), -Math.fround(3.4028234663852886e38), 1]);
  });
});

describe("what leaves out tokens before one is drawn", () => {
  const P = [0.5, 0.25, 0.15, 0.07, 0.03];
  const logs = P.map(Math.log);
  const kept = (config: Partial<GenerationConfig>) => warped(config, logs).map((score) => score > NO);

  it("keeps a share of the entropy", () => {
    // Entropies of the tokens: 0.347, 0.347, 0.285, 0.186, 0.105; together 1.269.
    expect(kept({ top_h: 0.5 })).toEqual([true, false, false, false, false]);
    expect(kept({ top_h: 0.6 })).toEqual([true, true, false, false, false]);
    expect(kept({ top_h: 0.01 })).toEqual([true, false, false, false, false]);
  });

  it("cuts off improbable tokens, by a bound that falls with the entropy", () => {
    expect(kept({ epsilon_cutoff: 0.1 })).toEqual([true, true, true, false, false]);
    expect(kept({ epsilon_cutoff: 0.9 })).toEqual([true, false, false, false, false]);
    // min(0.1, sqrt(0.1) exp(-1.269)) = 0.0889; min(0.04, sqrt(0.04) exp(-1.269)) = 0.04
    expect(kept({ eta_cutoff: 0.1 })).toEqual([true, true, true, false, false]);
    expect(kept({ eta_cutoff: 0.04 })).toEqual([true, true, true, true, false]);
  });

  it("keeps the likeliest alone for a top_p of 0, and all for values that ask for nothing", () => {
    expect(kept({ top_p: 0 })).toEqual([true, false, false, false, false]);
    expect(kept({ top_p: 1.5, typical_p: 1, epsilon_cutoff: 1, eta_cutoff: -1, min_p: 0 })).toEqual(P.map(() => true));
  });
});

const cases = caseDir("08-generation-keys");

describe.skipIf(caseModel === undefined)("generation_config.json of the cases", () => {
  const right: Readonly<Record<string, RegExp>> = {
    suppress: /^诊断3然中发病_ic 1F急itm$/,
    "bad-words": /^<度神 内k\uFFFD\uFFFD/,
    inert: /^诊断3然此\vkm主此\v易=$/,
  };
  const llama = caseModel ?? "";

  describe.each(backends)("on $name", ({ create }) => {
    it.each(Object.keys(right))("gives what transformers gives for %s, without a warning", async (name) => {
      const backend = await create();
      const model = await loadCausalLm(llama, { backend });
      const tokenizer = await loadTokenizer(llama);
      const prompt = tokenizer.encode(readFileSync(join(cases, "prompts.txt"), "utf8").trim());
      const warnings: string[] = [];
      const config = await readGenerationConfig(join(cases, name), (text) => warnings.push(text));
      const [[answer]] = (await generate(model, [prompt], { ...config, max_new_tokens: 12 })) as [
        [{ ids: Int32Array }],
      ];
      expect(tokenizer.decode(answer.ids, { skipSpecialTokens: true })).toMatch(right[name]!);
      expect(warnings).toEqual([]);
      await backend.dispose();
    });

    it("obeys max_length, and refuses a prompt that leaves no room for an answer", async () => {
      const backend = await create();
      const model = await loadCausalLm(llama, { backend });
      const [[short]] = (await generate(model, [Int32Array.of(1, 9, 9)], { max_length: 5 })) as [[{ ids: Int32Array }]];
      expect(short.ids).toHaveLength(2);
      const wins = { max_length: 5, max_new_tokens: 4 };
      const [[long]] = (await generate(model, [Int32Array.of(1, 9, 9)], wins)) as [[{ ids: Int32Array }]];
      expect(long.ids).toHaveLength(4);
      await expect(
        generate(model, [Int32Array.of(1, 9, 9)], { max_length: 3 }, { names: ["p.txt:1"] }),
      ).rejects.toThrow(
        "p.txt:1: the prompt has 3 tokens, and max_length allows 3 together with the answer; give max_new_tokens",
      );
      const all = Array.from({ length: 800 }, (_, id) => id);
      await expect(generate(model, [Int32Array.of(1)], { suppress_tokens: all })).rejects.toThrow(
        "every token is ruled out after 0 new ones",
      );
      await backend.dispose();
    });
  });
});
