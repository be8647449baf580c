import { readFileSync } from "node:fs";

interface Package {
  readonly name: string;
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
}

/** The package.json of one of our packages, which is as it should be. */
export function readPackage(packageJson: URL): Package {
  return JSON.parse(readFileSync(packageJson, "utf8")) as Package;
}
