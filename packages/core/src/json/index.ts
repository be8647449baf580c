export { halfPairs, JsonNumber, parseJson, stringifyJson } from "./exact-json.js";
export { holdsJsonTexts, jsonInText } from "./holds-json-texts.js";
export { describeJson, isJsonObject } from "./read-json-object.js";
export { readJsonValues } from "./read-json-values.js";
export { scanJson } from "./scan-json.js";
