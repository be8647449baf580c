export { runPretrain } from "./recipe.js";
export { pretrainSchema, type PretrainConfig } from "./config.js";
export { command } from "./command.js";
