export { HubServer } from "./hub-server.js";
export { processes } from "./processes.js";
export {
  backends,
  bin,
  checkpoints,
  FAMILIES,
  logged,
  medgpt,
  readJson,
  sample,
  snapshot,
  stepsWith,
  Toys,
  type Family,
  type Flags,
  type Outcome,
} from "./toys.js";
