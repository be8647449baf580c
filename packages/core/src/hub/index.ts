export { connectHub, type ConnectOptions, type HubConnection } from "./connection.js";
export { fetchUrl } from "./fetch-url.js";
export { HubUnreachableError } from "./request.js";
export { resolveDataset, type ResolvedDataset } from "./resolve-dataset.js";
export { resolveFiles, type ResolvedFiles } from "./resolve-files.js";
export { resolveModel, type ResolvedFolder } from "./resolve-model.js";
