// Before the package is packed, puts the cards of the repository's datasets/ into it, which it reads there; --remove takes
// them away again. A package that was installed has them already, and is packed as it is.
import { cpSync, existsSync, rmSync, statSync } from "node:fs";
import { basename } from "node:path";

const source = new URL("../../datasets/", import.meta.url);
const target = new URL("datasets/", import.meta.url);
const isWanted = (path) =>
  statSync(path).isDirectory() ? basename(path) !== "sample" : basename(path) === "card.json";

const isHere = existsSync(new URL("../../packages/data-medical/package.json", import.meta.url));
if (isHere) {
  rmSync(target, { recursive: true, force: true });
  if (!process.argv.includes("--remove")) cpSync(source, target, { recursive: true, filter: isWanted });
}
