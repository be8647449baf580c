export { connectHub, type HubConnection } from "./connection.js";
export { fetchUrl } from "./fetch-url.js";
export { resolveDataset, type ResolvedDataset } from "./resolve-dataset.js";
export { resolveFiles } from "./resolve-files.js";
export { resolveModel } from "./resolve-model.js";
