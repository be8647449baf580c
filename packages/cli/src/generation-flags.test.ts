import { InputError } from "@medgpt/artifacts";
import { parseFlags } from "@medgpt/core/config";
import type { GenerationConfig } from "@medgpt/core/generation";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { generationFlags, generationOf } from "./generation-flags.js";

const schema = z.strictObject(generationFlags);

/** What comes of flags over a generation_config.json. */
function settle(line: string, written: Record<string, unknown> = {}) {
  const { config } = parseFlags(
    schema,
    line.split(" ").filter((word) => word !== ""),
  );
  const said: string[] = [];
  const folder = { dir: "m", written: written as Partial<GenerationConfig>, stopIds: [2], stopStrings: [] };
  return { ...generationOf(config, folder, (text) => said.push(text)), said };
}

describe("flags over what a model's folder says", () => {
  const draws = { do_sample: true, temperature: 0.6, top_p: 0.9 };
  it.each<[string, Record<string, unknown>, object]>([
    ["", {}, { do_sample: false, max_new_tokens: 512, eos_token_id: [2], said: [] }],
    ["", draws, { ...draws, said: [] }],
    ["--temperature 1.2", draws, { ...draws, temperature: 1.2 }],
    ["--top_k 0", {}, { do_sample: true, top_k: 0 }],
    ["", { do_sample: false, temperature: 0, top_k: -1, top_p: 7 }, { do_sample: false, said: [] }],
    ["--do_sample False", { do_sample: true, temperature: 0 }, { do_sample: false, said: [] }],
    ["--temperature 0.5", { do_sample: true, temperature: 0 }, { do_sample: true, temperature: 0.5 }],
    ["--temperature 0", draws, { do_sample: false, said: [] }],
    ["--temperature 0.0", {}, { do_sample: false, said: [] }],
    ["--repetition_penalty 1.1 --num_beams 2", { repetition_penalty: 0, num_beams: 0 }, { num_beams: 2 }],
    ["", { max_new_tokens: 9, max_length: 20 }, { max_new_tokens: 9, max_length: 20 }],
    ["", { max_length: 20 }, { max_new_tokens: null, max_length: 20 }],
    ["--max_new_tokens 7", { max_new_tokens: 0, max_length: 20 }, { max_new_tokens: 7 }],
    ["--stop_str a,b", { stop_strings: "c", eos_token_id: 5 }, { stop_strings: ["c", "a", "b"], eos_token_id: [5, 2] }],
    ["", { eos_token_id: [] }, { eos_token_id: [2] }],
  ])("%s over %j", (line, written, expected) => {
    expect(settle(line, written)).toMatchObject(expected);
  });

  it("says which flags change nothing, and that each prompt gets one answer", () => {
    expect(settle("--do_sample False --top_p 0.5 --temperature 0.7").said).toEqual([
      "--temperature: changes nothing here, because the likeliest token is taken and none is drawn",
      "--top_p: changes nothing here, because the likeliest token is taken and none is drawn",
    ]);
    const { said, num_return_sequences } = settle("", { num_return_sequences: 3 });
    expect(said).toEqual(['m/generation_config.json: "num_return_sequences" is 3; each prompt gets one answer here']);
    expect(num_return_sequences).toBe(1);
  });

  it.each<[string, Record<string, unknown>, string]>([
    [
      "--do_sample True",
      { temperature: 0 },
      'm/generation_config.json: "temperature": expected a number above 0, got 0; give --temperature, or --do_sample False to take the likeliest token',
    ],
    [
      "",
      { do_sample: true, top_k: -1 },
      '"top_k": expected a whole number of 0 or more (0 keeps all tokens), got -1; give --top_k, or change the file',
    ],
    ["", { repetition_penalty: 0 }, "give --repetition_penalty, or change the file"],
    ["", { max_length: -1 }, "give --max_new_tokens, or change the file"],
    ["", { suppress_tokens: "4" }, "change the file, or take this out of it"],
    [
      "--num_beams 2",
      { do_sample: true },
      "m/generation_config.json: beams are not drawn at random here; give --do_sample False, or --num_beams 1",
    ],
    [
      "--temperature 0 --do_sample True",
      {},
      "--temperature: 0 takes the likeliest token, and --do_sample True draws at random; leave one out",
    ],
    ["--temperature -1", {}, "--temperature: expected 0 or more, got -1"],
    ["--top_p 50", {}, "--top_p: expected 1 or less, got 50"],
  ])("refuses %s over %j, with what to do", (line, written, message) => {
    expect(() => settle(line, written)).toThrow(message);
    expect(() => settle(line, written)).toThrow(InputError);
  });
});
