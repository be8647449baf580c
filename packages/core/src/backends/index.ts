export type { Backend, HostArray, KernelEvent, MemoryStats } from "./backend.js";
export { chooseBackend, type BackendChoice } from "./choose.js";
export { backendFlag, deviceFlags } from "./device-flags.js";
export { createJsBackend } from "./js/js-backend.js";
export { ACTIVATIONS, KERNELS, type Activation, type KernelName, type MatMulTerm, type View } from "./kernels.js";
export { createNativeBackend } from "./native/native-backend.js";
export { chromeTrace, flopsOf, profileSummary } from "./profile.js";
