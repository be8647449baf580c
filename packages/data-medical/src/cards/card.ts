/** Cards of data sets that others publish: where each is, on what terms, and what its files hold. */
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { InputError, readJsonText } from "@medgpt/artifacts";
import { nearestName } from "@medgpt/core/config";
import { z } from "zod";

import { FORMATS } from "../formats/formats.js";

const column = z.enum(["text", "list"]);

const subset = z.strictObject({
  about: z.string(),
  format: z.enum(FORMATS.map(({ name }) => name)),
  /** What every row must have. */
  columns: z.record(z.string(), column),
  /** Files of each split; on the hub, patterns of them too. */
  splits: z.record(z.string().regex(/^\w+$/), z.array(z.string()).min(1)),
});

const cardSchema = z
  .strictObject({
    about: z.string(),
    /** An SPDX identifier where there is one; "unknown" where the authors do not say. */
    licence: z.string(),
    /** What the authors say of its use beside the licence. */
    terms: z.string().optional(),
    homepage: z.url(),
    /** "owner/name" on the hub. */
    hub: z.string().optional(),
    /** For a data set that is not on a hub: the address that the names of files are joined to. */
    url: z.url({ protocol: /^https?$/ }).optional(),
    subsets: z.record(z.string(), subset),
  })
  .refine(({ hub, url }) => (hub === undefined) !== (url === undefined), { error: "expected one of hub and url" });

export type Subset = z.output<typeof subset>;

export type Card = z.output<typeof cardSchema> & {
  readonly name: string;
};

const CARD = "card.json";

/** The cards that come with this package, by name. */
export async function listCards(): Promise<Card[]> {
  const dir = await cardsDir();
  const names: string[] = [];
  for (const entry of await readdir(dir)) if (await isFile(join(dir, entry, CARD))) names.push(entry);
  return Promise.all(names.sort().map((name) => readCard(join(dir, name, CARD), name)));
}

/**
 * The card of that name, or in the file of that path.
 * @throws InputError if there is no such card, or it is not valid
 */
export async function findCard(name: string): Promise<Card> {
  if (name.endsWith(".json")) return readCard(name, name);
  const cards = await listCards();
  const found = cards.find((card) => card.name === name);
  if (found !== undefined) return found;
  const names = cards.map((card) => card.name);
  const nearest = nearestName(name, names);
  const hint =
    nearest === undefined ? `there are ${names.join(", ")}, or the path of a card.json` : `did you mean ${nearest}?`;
  throw new InputError(`no data set ${JSON.stringify(name)}; ${hint}`, { place: "NAME" });
}

async function readCard(path: string, name: string): Promise<Card> {
  const text = await readJsonText(path);
  if (text === undefined)
    throw new InputError("expected the card of a data set, and there is no such file", { place: path });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`not JSON: ${(cause as Error).message}`, { place: path, cause });
  }
  const result = cardSchema.safeParse(value);
  if (result.success) return { ...result.data, name };
  const { path: at, message } = result.error.issues[0]!;
  throw new InputError(`${at.join(".") || "the card"}: ${message}`, { place: path });
}

/** Beside the sources in a published package, at the top of the repository in a checkout. */
async function cardsDir(): Promise<string> {
  const here = dirname(fileURLToPath(import.meta.url));
  const published = join(here, "../../datasets");
  return (await isFolder(published)) ? published : join(here, "../../../../datasets");
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}
