export { runSft } from "./recipe.js";
export { sftSchema, type SftConfig } from "./config.js";
export { command } from "./command.js";
