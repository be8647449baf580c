/** Rows for fine-tuning against MedicalGPT's preprocess_function (reference results D/preprocess). */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { goldenDir, hasGoldens, readCase } from "../testing/goldens.js";
import { loadChatTemplate, loadTokenizer, type TemplateName } from "../tokenizer/index.js";
import { createDialog, DialogEncoder, joinTurns, proveLabels, readConversation, type ToolFormatName } from "./index.js";

interface Result {
  readonly model: string;
  readonly template: TemplateName | null;
  readonly tool_format: ToolFormatName | null;
  readonly model_max_length: number;
  readonly train_on_inputs: boolean;
  readonly rows: readonly { row: number; index?: number; dropped?: true; all_labels_ignored?: boolean }[];
  readonly input_ids: readonly number[][];
  readonly label_spans: readonly [number, number][][];
}

/** The sample with an answer after an answer, which is dropped there and kept here. */
const TWO_ANSWERS = 9;
/** The sample whose question and answer are empty, which would teach to stop at once. */
const NO_TEXT = 14;

describe.skipIf(!hasGoldens)("MedicalGPT's rows", async () => {
  const folder = hasGoldens ? goldenDir("D_sft", "preprocess") : "";
  const { results } = hasGoldens ? readCase<{ results: readonly Result[] }>(folder) : { results: [] };
  const samples = hasGoldens ? readCase<Record<string, unknown>[]>(folder, "samples.json") : [];
  const tally = new Map<string, number>();
  const count = (what: string): void => void tally.set(what, (tally.get(what) ?? 0) + 1);

  it.each(results.map((result) => ({ ...result, toString: () => "" })))(
    "of $model, $template, tools $tool_format, $model_max_length tokens, inputs $train_on_inputs",
    async ({ model, template, tool_format, model_max_length, train_on_inputs, rows, input_ids, label_spans }) => {
      const dir = join(goldenDir("A_models", model));
      const tokenizer = await loadTokenizer(dir);
      const dialog = createDialog(tokenizer, template, await loadChatTemplate(dir));
      const encoder = new DialogEncoder(tokenizer, dialog, model_max_length);
      for (const { row, index, dropped } of rows) {
        const conversation = readConversation(samples[row]!, { place: `row ${row}`, toolFormat: tool_format });
        const cuts: string[] = [];
        const encoded = encoder.encode(conversation, (cut) => cuts.push(cut));
        for (const turns of encoded) {
          const { ids, labels } = joinTurns(turns, train_on_inputs);
          expect(ids.length).toBeLessThanOrEqual(model_max_length);
          if (!train_on_inputs) proveLabels(labels, turns, dialog.endId, tokenizer);
        }
        if (dropped === true || row === NO_TEXT) {
          expect(encoded).toEqual([]);
          count(dropped === true ? "has no pair: dropped in both" : "has no text: dropped here");
          continue;
        }
        const [first] = encoded.map((turns) => joinTurns(turns, train_on_inputs));
        const ids = input_ids[index!]!;
        const labels = ids.map((id, at) => (label_spans[index!]!.some(([a, b]) => a <= at && at < b) ? id : -100));
        // It gives question and answer shares of the length, and an answer that fits may be longer than its share.
        const cutThere = encoded.flat().some(({ source: { length: s }, answer }) => {
          const t = answer.length - 1;
          return t > Math.trunc(model_max_length * (t / (s + t))) - 1;
        });
        if (cuts.length > 0) count("too long for one row");
        else if (cutThere) count("fits, but is cut there in proportion");
        else if (row === TWO_ANSWERS) count("has an answer after an answer");
        else {
          expect([...(first?.ids ?? [])], `row ${row}`).toEqual(ids);
          expect([...(first?.labels ?? [])], `row ${row}`).toEqual(labels);
          count("equal by value");
        }
      }
    },
  );

  it("are compared in full", () => {
    console.log([...tally].map(([what, rows]) => `${rows} ${what}`).join("\n"));
    expect(Object.fromEntries(tally)).toEqual({
      "equal by value": 135,
      "too long for one row": 282,
      "fits, but is cut there in proportion": 10,
      "has an answer after an answer": 21,
      "has no pair: dropped in both": 32,
      "has no text: dropped here": 32,
    });
  });
});
