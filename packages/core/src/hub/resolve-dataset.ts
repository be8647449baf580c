import { stat } from "node:fs/promises";
import { join } from "node:path";
import { InputError, type HubOrigin } from "@medgpt/artifacts";
import { readShortText } from "../text/read-short-text.js";
import type { HubConnection } from "./connection.js";
import { datasetSplits, readableFiles } from "./dataset-files.js";
import { isRepositoryId } from "./repository.js";
import { listPaths, withNamedSnapshot, type Snapshot } from "./snapshot.js";

export interface ResolvedDataset {
  readonly dir: string;
  /** Paths of the files of train and validation; those of other splits are not fetched. None where there is no such split. */
  readonly train: readonly string[];
  readonly validation: readonly string[];
  /** undefined for a folder that was here already. */
  readonly hub?: HubOrigin;
}

const CARD = "README.md";

/**
 * A configuration and what the hub notes about it take a kilobyte of a card, and data sets of all languages have 2,000 of
 * them. This is twice that; its front matter is parsed in one go, some seconds for one that is all of the card.
 */
const MAX_CARD_BYTES = 4 << 20;

/**
 * The text files of a data set: of a folder, or of that repository on the hub, in the cache.
 * @param name a folder, or "name" or "owner/name" on the hub
 * @param config one of the configurations that its README.md names; null for the default one
 * @throws InputError where the data set cannot be had, has no such configuration, or is in a format that is not read
 */
export async function resolveDataset(
  name: string,
  config: string | null,
  connection: HubConnection,
): Promise<ResolvedDataset> {
  const info = await stat(name).catch(() => undefined);
  if (info?.isDirectory() === true) {
    const folder = { dir: name, paths: await listPaths(name), fetch: () => Promise.resolve() };
    return { dir: name, ...(await gather(name, folder, config)) };
  }
  if (info !== undefined || !isRepositoryId(name)) {
    const found = info === undefined ? "no folder of that name here" : "it is a file";
    throw new InputError(`${found}; expected a folder, or the "owner/name" of a data set on the hub`, {
      place: `--dataset_name ${name}`,
    });
  }
  return withNamedSnapshot({ type: "dataset", id: name, revision: "main", connection }, async (snapshot) => {
    const files = await gather(name, snapshot, config);
    return { dir: snapshot.dir, ...files, hub: { id: name, commit: snapshot.commit } };
  });
}

async function gather(
  name: string,
  { dir, paths, fetch }: Pick<Snapshot, "dir" | "paths" | "fetch">,
  config: string | null,
): Promise<Pick<ResolvedDataset, "train" | "validation">> {
  const hasCard = paths.includes(CARD);
  if (hasCard) await fetch([CARD]);
  const card = hasCard ? ((await readShortText(join(dir, CARD), MAX_CARD_BYTES, "a data set's card")) ?? "") : "";
  const { train, validation } = chooseFiles(name, paths, card, config);
  await fetch([...train, ...validation]);
  const within = (path: string): string => join(dir, path);
  return { train: train.map(within), validation: validation.map(within) };
}

function chooseFiles(
  name: string,
  paths: readonly string[],
  card: string,
  config: string | null,
): { train: string[]; validation: string[] } {
  try {
    const splits = datasetSplits(paths, card, config);
    const [train = [], validation = []] = ["train", "validation"].map((split) => {
      const files = splits.get(split) ?? [];
      return files.length === 0 ? [] : readableFiles(files);
    });
    if (train.length + validation.length > 0) return { train, validation };
    const others = [...splits].filter(([, files]) => files.length > 0).map(([split]) => split);
    const has = others.length === 0 ? "it has no data files" : `it has only ${others.join(", ")}`;
    throw new InputError(`expected a data set with a split train or validation, but ${has}`);
  } catch (error) {
    throw error instanceof InputError ? new InputError(error.message, { place: name, cause: error }) : error;
  }
}
