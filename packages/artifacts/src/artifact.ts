/**
 * What passes between stages: a folder in Hugging Face layout plus `medgpt.json`, so that Transformers, PEFT and TRL open it
 * unaided. Types only; reading and writing are in read-artifact.ts and write-artifact.ts.
 */

/** Raised only when a reader of the old manifest would misread the new one. */
export const MANIFEST_VERSION = 1;

/** The manifest's file name. It is written last, so its presence means that the artifact is complete. */
export const MANIFEST_FILE = "medgpt.json";

/** Columns of a dataset: `text`; `messages`; `chosen` and `rejected`; or `prompt` (and their usual other spellings). */
export type DatasetFormat = "text" | "chat" | "preference" | "prompt";

/** What is known of a whole model without loading it. */
export interface ModelDetails {
  /** `model_type` of config.json. */
  family: string;
  /** Elements of all stored weights; tied weights count once. */
  parameters: number;
  vocabSize: number;
  /** sha256 of the tokenizer.json beside the weights; null when there is none. */
  tokenizer: string | null;
}

/** What each kind adds to its manifest. One row a kind: this table is the whole contract. */
export interface Details {
  tokenizer: { vocabSize: number; addedTokens: number };
  /** `rows` is null where nobody has counted them, as in a plain folder of text. */
  dataset: { format: DatasetFormat; splits: Record<string, { files: string[]; rows: number | null }> };
  "causal-lm": ModelDetails;
  /** Names as in adapter_config.json: `r`, `lora_alpha`, `target_modules` (a string is a pattern). */
  adapter: { base: ArtifactRef<"causal-lm">; rank: number; alpha: number; targetModules: string | string[] };
  /** The score is read at the last token of the sequence; `center` is subtracted from it. */
  "reward-model": ModelDetails & { pooling: "last-token"; center: number };
}

export type ArtifactKind = keyof Details;

/** Where an artifact came from on a hub. */
export interface HubOrigin {
  /** "name" or "owner/name". */
  id: string;
  /** Git's full hash. */
  commit: string;
}

/** A pointer to another artifact: where it was, and which exact bytes it was. */
export interface ArtifactRef<K extends ArtifactKind = ArtifactKind> {
  kind: K;
  path: string;
  /** sha256 of its manifest; null when it is known by name only, as the base of a plain PEFT adapter is. */
  digest: string | null;
  /** The repository of which `path` is a copy. */
  hub?: HubOrigin;
}

export interface CreatedBy {
  package: string;
  version: string;
  /** The resolved configuration of the run. */
  config: unknown;
}

/** Contents of `medgpt.json`. */
export interface Manifest<K extends ArtifactKind = ArtifactKind> {
  medgpt: typeof MANIFEST_VERSION;
  kind: K;
  /** null for a plain Hugging Face folder, which does not say. */
  createdBy: CreatedBy | null;
  /** Lineage: the artifacts that this one was made from. */
  inputs: ArtifactRef[];
  /** Every file that belongs to the artifact, by its path inside the folder, with "/" between parts. */
  files: Record<string, { bytes: number; sha256: string }>;
  details: Details[K];
}

/** A folder whose contents have been checked. Stages take these and return these. */
export interface Artifact<K extends ArtifactKind = ArtifactKind> {
  readonly kind: K;
  /** Absolute path of the folder. */
  readonly dir: string;
  /** sha256 of the manifest, and so of every file that it lists. */
  readonly digest: string;
  /** True for a plain Hugging Face folder, whose manifest was made up from what lies there. */
  readonly inferred: boolean;
  readonly manifest: Manifest<K>;
}

export type TokenizerArtifact = Artifact<"tokenizer">;
export type DatasetArtifact<F extends DatasetFormat = DatasetFormat> = Artifact<"dataset"> & {
  readonly manifest: { details: { format: F } };
};
export type CausalLmArtifact = Artifact<"causal-lm">;
export type AdapterArtifact = Artifact<"adapter">;
export type RewardModelArtifact = Artifact<"reward-model">;

/** One artifact of any of the kinds `K`; `kind` tells them apart. */
export type AnyArtifact<K extends ArtifactKind = ArtifactKind> = { [Each in K]: Artifact<Each> }[K];

/** The pointer that another artifact's `inputs` keeps to this one. */
export function artifactRef<K extends ArtifactKind>(artifact: Artifact<K>, hub?: HubOrigin): ArtifactRef<K> {
  return { kind: artifact.kind, path: artifact.dir, digest: artifact.digest, ...(hub && { hub }) };
}
