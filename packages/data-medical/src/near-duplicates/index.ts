export { ExactDuplicates, fingerprint, type Fingerprint } from "./exact-duplicates.js";
export { foldText } from "./shingles.js";
export { minHash, SIGNATURE_SIZE, similarity } from "./min-hash.js";
export { NearDuplicates } from "./near-duplicates.js";
