// Lets a thread run the TypeScript sources that Vitest runs in the main one: `node --import` this file.
import { register } from "node:module";

register("./typescript-loader.mjs", import.meta.url);
