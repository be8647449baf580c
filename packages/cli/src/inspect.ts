/** `medgpt inspect sample`: what fine-tuning makes of a row of chat data. */
import { InputError } from "@medgpt/artifacts";
import {
  chatReader,
  createDialog,
  DialogEncoder,
  encodingFlags,
  joinTurns,
  proveLabels,
  sayLeftOut,
  type Changed,
  type Cut,
  type LeftOut,
} from "@medgpt/core/chat";
import {
  commandFlags,
  flag,
  hubFlags,
  modelOrTokenizerFlag,
  positional,
  topic,
  type Command,
  type CommandGroup,
} from "@medgpt/core/config";
import { readRows } from "@medgpt/core/data";
import { findTokenizer } from "@medgpt/core/stage";
import { loadChatTemplate, type Tokenizer } from "@medgpt/core/tokenizer";
import type { RunContext } from "@medgpt/core/run";
import { z } from "zod";

export const schema = z.strictObject({
  ...topic("Row", {
    file: positional(z.string(), { help: "The file: .jsonl, .json or .parquet." }),
    row: positional(z.string(), { help: "The number of the row, from 1." }),
    ids: flag(z.boolean(), { default: false, help: "Print the ids too, those without loss in brackets." }),
    color: flag(z.boolean(), {
      default: process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined,
      help: "Colour what carries loss; without, it stands between «». By default as standard output is a terminal.",
    }),
  }),
  ...topic("Encoding", {
    model_name_or_path: modelOrTokenizerFlag("The folder of the model, or of its tokenizer, or its name on the hub."),
    ...hubFlags,
    ...encodingFlags,
  }),
  ...commandFlags,
});

const sample: Command<typeof schema> = {
  name: "inspect sample",
  summary: "Show a row of chat data as fine-tuning reads it: what carries loss, what does not, and what ends answers.",
  config: schema,
  run: async (config, context) => void process.stdout.write(await inspectSample(config, context)),
};

/** `medgpt inspect …` */
export const command: CommandGroup = {
  name: "inspect",
  summary: "Show what training makes of data.",
  commands: [{ name: "sample", summary: sample.summary, load: () => Promise.resolve(sample) }],
};

/** The text of the command. */
export async function inspectSample(config: z.output<typeof schema>, context: RunContext): Promise<string> {
  const { log } = context;
  const tokenizer = await findTokenizer(config.model_name_or_path, config, context);
  const dialog = createDialog(tokenizer, config.template_name, await loadChatTemplate(tokenizer.dir));
  const { row, place } = await rowOf(config.file, config.row);
  const told = new Set<string>();
  const say = (what: LeftOut | Changed | Cut): void => {
    if (told.size < told.add(what).size) log({ type: "message", level: "info", text: `${place}: ${sayLeftOut(what)}` });
  };
  const encoder = new DialogEncoder(tokenizer, dialog, config.model_max_length);
  const conversation = chatReader(encoder, config.tool_format)(row, place, say);
  const rows = encoder.encode(conversation, say);
  if (rows.length === 0) return "nothing in this row can be learnt\n";
  return rows
    .map((turns, index) => {
      const { ids, labels } = joinTurns(turns, config.train_on_inputs);
      if (!config.train_on_inputs) proveLabels(labels, turns, dialog.endId, tokenizer);
      const learnt = labels.filter((label) => label !== -100).length;
      const head = `row ${index + 1} of ${rows.length}: ${ids.length} tokens, ${learnt} with loss\n`;
      const spans = spansOf(ids, labels, dialog.endId);
      const text = spans.map((span) => paint(tokenizer.decode(span.ids), span.kind, config.color)).join("");
      return `${head}${text}\n${config.ids ? `${idLine(spans, tokenizer)}\n` : ""}`;
    })
    .join("\n");
}

async function rowOf(file: string, given: string) {
  const number = Number(given);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InputError(`expected the number of a row, from 1, got ${given}`, { place: "ROW" });
  let count = 0;
  for await (const row of readRows([file])) if (++count === number) return row;
  throw new InputError(`there is no row ${number}: the file has ${count}`, { place: file });
}

type Kind = "context" | "loss" | "end";
interface Span {
  readonly kind: Kind;
  readonly ids: number[];
}

/** Runs of tokens of one kind. */
function spansOf(ids: Int32Array, labels: Int32Array, endId: number): Span[] {
  const spans: Span[] = [];
  ids.forEach((id, index) => {
    const kind = labels[index] === -100 ? "context" : id === endId ? "end" : "loss";
    if (spans.at(-1)?.kind !== kind) spans.push({ kind, ids: [] });
    spans.at(-1)!.ids.push(id);
  });
  return spans;
}

const COLORS: Readonly<Record<Kind, string>> = { context: "\x1b[2m", loss: "\x1b[32m", end: "\x1b[7m" };

function paint(text: string, kind: Kind, color: boolean): string {
  if (color) return `${COLORS[kind]}${text}\x1b[0m`;
  return kind === "context" ? text : `«${text}»`;
}

function idLine(spans: readonly Span[], tokenizer: Tokenizer): string {
  const token = (id: number): string => `${id}${JSON.stringify(tokenizer.idToToken(id) ?? "")}`;
  return spans
    .map(({ kind, ids }) => {
      const line = ids.map(token).join(" ");
      return kind === "context" ? `[${line}]` : line;
    })
    .join("\n");
}
