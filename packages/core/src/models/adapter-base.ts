import type { AdapterArtifact, AnyArtifact } from "@medgpt/artifacts";

/**
 * A line that says that an adapter was trained on another base than this one, by the digest in its manifest; undefined
 * where it was trained on this one, or has no manifest (a path in adapter_config.json is only a hint).
 */
export function otherBase(adapter: AdapterArtifact, base: AnyArtifact): string | undefined {
  const { path, digest } = adapter.manifest.details.base;
  if (digest === null || digest === base.digest) return undefined;
  return `the adapter was trained on ${path}, and ${base.dir} is not that model, or its files have changed since`;
}
