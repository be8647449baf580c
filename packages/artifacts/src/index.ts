export {
  MANIFEST_FILE,
  MANIFEST_VERSION,
  artifactRef,
  type AdapterArtifact,
  type AnyArtifact,
  type Artifact,
  type ArtifactKind,
  type ArtifactRef,
  type CausalLmArtifact,
  type CreatedBy,
  type DatasetArtifact,
  type DatasetFormat,
  type Details,
  type HubOrigin,
  type Manifest,
  type ModelDetails,
  type RewardModelArtifact,
  type TokenizerArtifact,
} from "./artifact.js";
export { ArtifactError, type ArtifactErrorFields, type ArtifactErrorReason } from "./artifact-error.js";
export { fileDigest } from "./file-digest.js";
export { splitOf } from "./infer-manifest.js";
export { InputError, MedgptError, oneLine } from "./medgpt-error.js";
export { nestsTooDeeply, readJsonText } from "./read-json-text.js";
export { openArtifact, openDataset, openRef, type OpenOptions } from "./read-artifact.js";
export { weightedSum, type RewardRequest, type RewardScorer } from "./reward-scorer.js";
export { sealArtifact, writeArtifact, type ArtifactDescription } from "./write-artifact.js";
export { readError } from "./read-error.js";
export { syncFolder, UNFINISHED_FILE, writeError, writeFileAtomic, type FileData } from "./write-file-atomic.js";
