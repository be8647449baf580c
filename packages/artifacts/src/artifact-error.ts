import type { ArtifactKind, DatasetFormat } from "./artifact.js";
import { InputError } from "./medgpt-error.js";

export type ArtifactErrorReason =
  /** The folder, the manifest or a listed file is not there. */
  | "missing"
  /** The folder holds nothing that an artifact is made of, or two kinds at once. */
  | "unrecognised"
  | "wrong-kind"
  | "wrong-format"
  /** medgpt.json is no valid manifest. */
  | "bad-manifest"
  /** medgpt.json was written by a version of @medgpt that this one cannot read. */
  | "manifest-version"
  /** A listed name leads out of the folder. */
  | "path-escape"
  /** A file is shorter or longer than it says of itself, or than its manifest says. */
  | "size"
  /** A file's bytes are not those that were written. */
  | "digest"
  /** A model, tokenizer or dataset file cannot be what its name says. */
  | "bad-file"
  /** The folder is one that an interrupted run left behind. */
  | "half-written"
  /** The folder to be written is in use. */
  | "exists";

export interface ArtifactErrorFields {
  reason: ArtifactErrorReason;
  /** The artifact's folder. */
  path: string;
  /** The file at fault, by its path inside the folder. */
  file?: string;
  expectedKind?: readonly ArtifactKind[];
  foundKind?: string;
  expectedFormat?: readonly DatasetFormat[];
  foundFormat?: DatasetFormat;
  cause?: unknown;
}

/** A folder that is not the artifact it is taken for. A caller branches on `reason`. */
export class ArtifactError extends InputError {
  readonly reason: ArtifactErrorReason;
  readonly path: string;
  readonly file: string | undefined;
  readonly expectedKind: readonly ArtifactKind[] | undefined;
  readonly foundKind: string | undefined;
  readonly expectedFormat: readonly DatasetFormat[] | undefined;
  readonly foundFormat: DatasetFormat | undefined;

  constructor(message: string, fields: ArtifactErrorFields) {
    const place = fields.file === undefined ? fields.path : `${fields.path}/${fields.file}`;
    super(message, fields.cause === undefined ? { place } : { place, cause: fields.cause });
    this.reason = fields.reason;
    this.path = fields.path;
    this.file = fields.file;
    this.expectedKind = fields.expectedKind;
    this.foundKind = fields.foundKind;
    this.expectedFormat = fields.expectedFormat;
    this.foundFormat = fields.foundFormat;
  }
}
