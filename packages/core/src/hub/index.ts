export { connectHub, type ConnectOptions, type HubConnection } from "./connection.js";
export { HubUnreachableError } from "./request.js";
export { resolveDataset, type ResolvedDataset } from "./resolve-dataset.js";
export { resolveModel, type ResolvedFolder } from "./resolve-model.js";
