// Puts the cards of datasets/ into the package that is about to be packed, which reads them there; --remove takes them away.
import { cpSync, rmSync, statSync } from "node:fs";
import { basename } from "node:path";

const target = new URL("../packages/data-medical/datasets/", import.meta.url);
const isWanted = (path) =>
  statSync(path).isDirectory() ? basename(path) !== "sample" : basename(path) === "card.json";

rmSync(target, { recursive: true, force: true });
if (!process.argv.includes("--remove"))
  cpSync(new URL("../datasets/", import.meta.url), target, { recursive: true, filter: isWanted });
