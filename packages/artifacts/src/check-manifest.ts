import { MANIFEST_FILE, MANIFEST_VERSION, type AnyArtifact, type ArtifactKind, type Manifest } from "./artifact.js";
import { ArtifactError } from "./artifact-error.js";

type Check = (value: unknown) => boolean;

const isString: Check = (value) => typeof value === "string";
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber: Check = (value) => Number.isFinite(value);
const isSha256: Check = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const isOneOf =
  (...choice: unknown[]): Check =>
  (value) =>
    choice.includes(value);
const or =
  (...checks: Check[]): Check =>
  (value) =>
    checks.some((check) => check(value));
const isList =
  (item: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(item);
const isRecord =
  (item: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(item);
const has =
  (fields: Record<string, Check>): Check =>
  (value) =>
    isObject(value) && Object.entries(fields).every(([name, check]) => check(value[name]));

const isRef: Check = has({
  kind: isString,
  path: isString,
  digest: or(isSha256, isOneOf(null)),
  hub: or(isOneOf(undefined), has({ id: isString, commit: isString })),
});
const model = { family: isString, parameters: isCount, vocabSize: isCount, tokenizer: or(isSha256, isOneOf(null)) };

/** What `details` must hold, field by field, for each kind. */
const DETAILS: Record<ArtifactKind, Record<string, Check>> = {
  tokenizer: { vocabSize: isCount, addedTokens: isCount },
  dataset: {
    format: isOneOf("text", "chat", "preference", "prompt"),
    splits: isRecord(has({ files: isList(isString), rows: or(isCount, isOneOf(null)) })),
  },
  "causal-lm": model,
  adapter: { base: isRef, rank: isCount, alpha: isNumber, targetModules: or(isString, isList(isString)) },
  "reward-model": { ...model, pooling: isOneOf("last-token"), center: isNumber },
};

const MANIFEST: Record<string, Check> = {
  createdBy: or(has({ package: isString, version: isString }), isOneOf(null)),
  inputs: isList(isRef),
  files: isRecord(has({ bytes: isCount, sha256: isSha256 })),
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parses the text of `dir`/medgpt.json; throws an ArtifactError that names the field which is not as it should be. */
export function parseManifest(dir: string, text: string): AnyArtifact["manifest"] {
  const refuse = (reason: "bad-manifest" | "manifest-version", message: string, cause?: unknown): never => {
    throw new ArtifactError(message, { reason, path: dir, file: MANIFEST_FILE, cause });
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    refuse("bad-manifest", `expected JSON, but ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  if (!isObject(value)) return refuse("bad-manifest", "expected a JSON object");
  if (value["medgpt"] !== MANIFEST_VERSION) {
    const found = JSON.stringify(value["medgpt"]) ?? "none";
    return refuse("manifest-version", `expected manifest version ${MANIFEST_VERSION}, found ${found}; update @medgpt`);
  }
  const kind = value["kind"];
  if (typeof kind !== "string" || !Object.hasOwn(DETAILS, kind)) {
    const kinds = Object.keys(DETAILS).join(", ");
    return refuse("bad-manifest", `"kind" is ${JSON.stringify(kind) ?? "missing"}; expected one of ${kinds}`);
  }
  const details = value["details"];
  if (!isObject(details)) return refuse("bad-manifest", '"details" is not an object');
  for (const [name, check] of Object.entries(MANIFEST)) {
    if (!check(value[name])) refuse("bad-manifest", `"${name}" is not as a manifest has it`);
  }
  for (const [name, check] of Object.entries(DETAILS[kind as ArtifactKind])) {
    if (!check(details[name])) refuse("bad-manifest", `"details.${name}" is not as a ${kind} has it`);
  }
  return value as unknown as Manifest as AnyArtifact["manifest"];
}
