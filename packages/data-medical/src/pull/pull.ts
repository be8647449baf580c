import { dirname } from "node:path";

import { InputError, type ArtifactRef, type DatasetFormat } from "@medgpt/artifacts";
import type { SourceRow } from "@medgpt/core/data";
import { connectHub, fetchUrl, resolveFiles, type HubConnection } from "@medgpt/core/hub";
import { say, type RunContext } from "@medgpt/core/run";

import { findCard, type Card, type Subset } from "../cards/card.js";
import { writeConverted } from "../convert/write-converted.js";
import { FORMATS } from "../formats/formats.js";
import type { TargetName } from "../targets/targets.js";
import type { PullConfig } from "./config.js";

const DEFAULT_TARGETS: Readonly<Record<DatasetFormat, TargetName>> = {
  text: "text",
  chat: "sharegpt",
  preference: "preference",
  prompt: "prompt",
};

/** Fetches the files that a card names into the hub's cache, and converts them. */
export async function runPull(config: PullConfig, context: RunContext): Promise<void> {
  const card = await findCard(config.name);
  const [name, subset] = chooseSubset(card, config.subset);
  const wanted = chooseSplits(card, subset, config.splits);
  const terms = card.terms === undefined ? "" : ` (${card.terms})`;
  const text = `${card.name}, ${name}: licence ${card.licence}${terms}; see ${card.homepage}`;
  say(context, text);

  const { hf_hub_token: token, ...said } = config;
  const { splits, input } = await fetchFiles(card, wanted, await connectHub(context, { token }));
  const from = FORMATS.find(({ name }) => name === subset.format)!;
  const to = config.to ?? DEFAULT_TARGETS[from.kind];
  const onRow = (row: SourceRow): void => checkColumns(row, card, subset);
  await writeConverted(splits, { ...config, to, from, onRow, inputs: [input], config: said }, context);
}

function chooseSubset(card: Card, wanted: string | null): [name: string, subset: Subset] {
  const subsets = Object.entries(card.subsets);
  const found = wanted === null && subsets.length === 1 ? subsets[0] : subsets.find(([name]) => name === wanted);
  if (found !== undefined) return found;
  const names = subsets.map(([name]) => name).join(", ");
  const got = wanted === null ? "several, and one must be named" : `no subset ${JSON.stringify(wanted)}`;
  throw new InputError(`${card.name} has ${got}: ${names}`, { place: "--subset" });
}

function chooseSplits(
  card: Card,
  { splits }: Subset,
  wanted: readonly string[] | null,
): ReadonlyMap<string, readonly string[]> {
  const unknown = wanted?.find((split) => splits[split] === undefined);
  if (unknown !== undefined)
    throw new InputError(`${card.name} has no split ${JSON.stringify(unknown)}: ${Object.keys(splits).join(", ")}`, {
      place: "--splits",
    });
  return new Map(Object.entries(splits).filter(([split]) => wanted === null || wanted.includes(split)));
}

interface Fetched {
  readonly splits: ReadonlyMap<string, readonly string[]>;
  readonly input: ArtifactRef;
}

async function fetchFiles(
  card: Card,
  wanted: ReadonlyMap<string, readonly string[]>,
  connection: HubConnection,
): Promise<Fetched> {
  if (card.hub !== undefined) {
    const { dir, splits, hub } = await resolveFiles(card.hub, wanted, connection);
    return { splits, input: { kind: "dataset", path: dir, digest: null, hub } };
  }
  const splits = new Map<string, string[]>();
  for (const [split, files] of wanted)
    for (const file of files) {
      const path = await fetchUrl(new URL(file, card.url), connection);
      splits.set(split, [...(splits.get(split) ?? []), path]);
    }
  return { splits, input: { kind: "dataset", path: dirname([...splits.values()][0]![0]!), digest: null } };
}

/** A set that has changed since its card was written is not read as something else. */
function checkColumns({ row, place }: SourceRow, card: Card, { columns }: Subset): void {
  const typeOf = (value: unknown): string =>
    typeof value === "string" ? "text" : Array.isArray(value) ? "list" : "other";
  if (Object.entries(columns).every(([name, type]) => typeOf(row[name]) === type)) return;
  const show = (entries: [string, string][]): string => entries.map(([name, type]) => `${name} (${type})`).join(", ");
  const got = show(Object.entries(row).map(([name, value]) => [name, typeOf(value)]));
  throw new InputError(
    `expected the columns ${show(Object.entries(columns))}, as the card of ${card.name} says, got ${got || "none"}`,
    { place },
  );
}
