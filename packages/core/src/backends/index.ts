export type { Backend } from "./backend.js";
export { chooseBackend } from "./choose.js";
export { deviceFlags } from "./device-flags.js";
export { createJsBackend } from "./js/js-backend.js";
export { createNativeBackend } from "./native/native-backend.js";
export { profileSummary } from "./profile.js";
