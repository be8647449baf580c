/** One way from what a command line names to a model: for training, merging, generating and looking at rows. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  artifactRef,
  openArtifact,
  type AdapterArtifact,
  type ArtifactRef,
  type CausalLmArtifact,
} from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { chooseBackend } from "../backends/choose.js";
import type { BackendName } from "../backends/names.js";
import { connectHub, type HubConnection } from "../hub/connection.js";
import { resolveModel, type ResolvedFolder } from "../hub/resolve-model.js";
import { otherBase } from "../models/adapter-base.js";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** Folders, or names on the hub. */
export interface ModelNames {
  readonly model_name_or_path: string;
  readonly tokenizer_name_or_path: string | null;
  readonly model_revision: string | null;
  readonly hf_hub_token: string | null;
}

export interface FoundFolders {
  readonly model: ResolvedFolder;
  readonly adapter: ResolvedFolder | undefined;
  /** The one that tokenizer_name_or_path means. */
  readonly tokenizer: ResolvedFolder | undefined;
  readonly hub: HubConnection;
}

/**
 * Finds the folders that names mean. What is on the hub is fetched into its cache; nothing else is written.
 * @throws InputError where the hub has no such model
 */
export async function findFolders(
  names: ModelNames,
  adapterName: string | null,
  context: RunContext,
): Promise<FoundFolders> {
  const { model_name_or_path: name, tokenizer_name_or_path: own } = names;
  const hub = await connectHub(context, { token: names.hf_hub_token });
  const model = await resolveAt(name, "model", names, hub);
  const adapter = adapterName === null ? undefined : await resolveModel(adapterName, "adapter", hub);
  const tokenizer = own === null ? undefined : own === name ? model : await resolveModel(own, "tokenizer", hub);
  return { model, adapter, tokenizer, hub };
}

/** Opens a tokenizer alone. */
export async function findTokenizer(
  name: string,
  where: Pick<ModelNames, "model_revision" | "hf_hub_token">,
  context: RunContext,
): Promise<Tokenizer> {
  const hub = await connectHub(context, { token: where.hf_hub_token });
  const { dir } = await resolveAt(name, "tokenizer", where, hub);
  return loadTokenizer(dir, { warn: (text) => say(context, text, "warn") });
}

/** Finds what model_revision is the revision of. */
async function resolveAt(
  name: string,
  kind: "model" | "tokenizer",
  { model_revision }: Pick<ModelNames, "model_revision">,
  hub: HubConnection,
): Promise<ResolvedFolder> {
  const revision = model_revision ?? "main";
  const found = await resolveModel(name, kind, hub, revision);
  if (found.hub === undefined && revision !== "main")
    say(hub.context, "--model_revision: changes nothing for a local folder");
  return found;
}

export interface FoundModel {
  readonly base: CausalLmArtifact;
  readonly adapter: AdapterArtifact | undefined;
  readonly tokenizer: Tokenizer;
  /** The base first, then the adapter. */
  readonly inputs: readonly [ArtifactRef<"causal-lm">, ...ArtifactRef[]];
}

/**
 * Opens the folders, and says where the adapter was made for another model.
 * @param adapter what a warning calls it, and whether its folder's tokenizer comes before the model's
 * @throws InputError for a folder that is not what it must be
 */
export async function openFolders(
  { model, adapter: start, tokenizer: given }: FoundFolders,
  adapter: { readonly name: string; readonly bringsTokenizer: boolean },
  context: RunContext,
): Promise<FoundModel> {
  const warn = (text: string): void => say(context, text, "warn");
  const base = await openArtifact(model.dir, "causal-lm");
  const baseRef = artifactRef(base, model.hub);
  const opened = start && (await openArtifact(start.dir, "adapter"));
  const other = opened && otherBase(opened, base);
  if (other !== undefined) warn(`${adapter.name}: ${other}`);
  const hasOwn = adapter.bringsTokenizer && opened !== undefined && existsSync(join(opened.dir, "tokenizer.json"));
  const tokenizer = await loadTokenizer(given?.dir ?? (hasOwn ? opened.dir : base.dir), { warn });
  return { base, adapter: opened, tokenizer, inputs: [baseRef, ...(opened ? [artifactRef(opened, start?.hub)] : [])] };
}

/** The backend that the flags ask for, and a line that says which it is and why. */
export async function openBackend(
  { backend: asked, threads }: { readonly backend: "auto" | BackendName; readonly threads: number | null },
  context: RunContext,
): Promise<Backend> {
  const { backend, reason } = await chooseBackend({ backend: asked, ...(threads !== null && { threads }) });
  say(context, `backend: ${backend.name} (${backend.description}): ${reason}`);
  return backend;
}
