export { failure, HubServer, type Answer, type HubRequest, type RepositoryOptions } from "./hub-server.js";
