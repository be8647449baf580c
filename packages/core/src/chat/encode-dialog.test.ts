/** Rows for fine-tuning against MedicalGPT's preprocess_function (reference results D/preprocess). */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { goldenCases, goldenDir, readCase } from "../testing/goldens.js";
import { loadChatTemplate } from "../tokenizer/chat-template.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import type { TemplateName } from "../tokenizer/prompt-templates.js";
import { readConversation } from "./conversation.js";
import { createDialog } from "./dialog.js";
import { DialogEncoder, joinTurns, type EncodedTurn } from "./encode-dialog.js";
import type { Unlike } from "./left-out.js";
import { proveLabels } from "./prove-labels.js";
import type { ToolFormatName } from "./tool-formats.js";

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

/** What length has no part in. */
const UNLIKE: ReadonlySet<string> = new Set<Unlike>([
  "turn whose earlier answers stand in a prompt as other tokens",
  "prompt that the template itself does not write before an answer",
]);

interface Sample {
  readonly [key: string]: unknown;
  readonly conversations: readonly { from: string; value: string }[];
}

/** Whether an answer comes after an answer, which is dropped there and kept here. */
function hasTwoAnswers({ conversations }: Sample): boolean {
  return conversations.some(({ from }, index) => from === "gpt" && conversations[index - 1]?.from === "gpt");
}

/** Whether question and answer are empty, which would teach to stop at once. */
function hasNoText({ conversations }: Sample): boolean {
  return conversations.every(({ value }) => value === "");
}

const [name] = goldenCases("D_sft", "results.0.label_spans");

describe.skipIf(name === undefined)("MedicalGPT's rows", async () => {
  const folder = goldenDir("D_sft", name ?? "");
  const { results } = name === undefined ? { results: [] } : readCase<{ results: readonly Result[] }>(folder);
  const samples = name === undefined ? [] : readCase<Sample[]>(folder, "samples.json");
  const tally = new Map<string, number>();
  const count = (what: string): void => void tally.set(what, (tally.get(what) ?? 0) + 1);

  it.each(results.map((result) => ({ ...result, toString: () => "" })))(
    "of $model, $template, tools $tool_format, $model_max_length tokens, inputs $train_on_inputs",
    async ({ model, template, tool_format, model_max_length, train_on_inputs, rows, input_ids, label_spans }) => {
      const dir = join(goldenDir("A_models", model));
      const tokenizer = await loadTokenizer(dir);
      const dialog = createDialog(tokenizer, template, await loadChatTemplate(dir));
      const encoder = new DialogEncoder(tokenizer, dialog, model_max_length);
      const { bosId } = tokenizer;
      const adds =
        tokenizer.encode("a")[0] === bosId && tokenizer.encode("a", { addSpecialTokens: false })[0] !== bosId;
      const between = [...tokenizer.encode(dialog.ending, { addSpecialTokens: false })].slice(1).join();
      /**
       * With a tokenizer's own template, MedicalGPT doubles the beginning of text where the template writes it and the
       * tokenizer adds it, and loses what the template writes between the end of an answer and the next turn. The model
       * meets neither in use, so rows here have neither.
       */
      const asThere = (turns: readonly EncodedTurn[], own: boolean): EncodedTurn[] =>
        turns.map((turn, index) => {
          const source = [...turn.source];
          if (own && index === 0 && adds && source[0] === bosId) source.unshift(bosId!);
          const lost = between === "" ? 0 : between.split(",").length;
          if (own && index > 0 && lost > 0 && source.slice(0, lost).join() === between) source.splice(0, lost);
          return { ...turn, source: Int32Array.from(source) };
        });
      for (const { row, index, dropped } of rows) {
        const conversation = readConversation(samples[row]!, { place: `row ${row}`, toolFormat: tool_format });
        const cuts: string[] = [];
        const encoded = encoder.encode(conversation, (cut) => cuts.push(...(UNLIKE.has(cut) ? [] : [cut])));
        for (const turns of encoded) {
          const { ids, labels } = joinTurns(turns, train_on_inputs);
          expect(ids.length).toBeLessThanOrEqual(model_max_length);
          if (!train_on_inputs) proveLabels(labels, turns, dialog.endId, tokenizer);
        }
        if (dropped === true || hasNoText(samples[row]!)) {
          expect(encoded).toEqual([]);
          count(dropped === true ? "has no pair: dropped in both" : "has no text: dropped here");
          continue;
        }
        const theirs = asThere(encoded[0] ?? [], template === null);
        const first = joinTurns(theirs, train_on_inputs);
        const ids = input_ids[index!]!;
        const labels = ids.map((id, at) => (label_spans[index!]!.some(([a, b]) => a <= at && at < b) ? id : -100));
        // It gives question and answer shares of the length, and an answer that fits may be longer than its share.
        const cutThere = [...theirs, ...encoded.slice(1).flat()].some(({ source: { length: s }, answer }) => {
          const t = answer.length - 1;
          return t > Math.trunc(model_max_length * (t / (s + t))) - 1;
        });
        if (cuts.length > 0 || first.ids.length > model_max_length) count("too long for one row");
        else if (cutThere) count("fits, but is cut there in proportion");
        else if (hasTwoAnswers(samples[row]!)) count("has an answer after an answer");
        else {
          expect([...first.ids], `row ${row}`).toEqual(ids);
          expect([...first.labels], `row ${row}`).toEqual(labels);
          count("equal by value");
        }
      }
    },
  );

  it("are compared in full", () => {
    console.log([...tally].map(([what, rows]) => `${rows} ${what}`).join("\n"));
    const rows = results.reduce((sum, result) => sum + result.rows.length, 0);
    expect([...tally.values()].reduce((sum, count) => sum + count)).toBe(rows);
    expect(tally.get("equal by value")! / rows).toBeGreaterThan(0.25);
  });
});
