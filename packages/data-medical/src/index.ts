export { command } from "./command.js";
export { detectFormat, type Detected } from "./formats/detect-format.js";
export type { Example, Role, Turn } from "./formats/example.js";
export type { Format } from "./formats/format.js";
export { FORMATS } from "./formats/formats.js";
export { readExamples, type ReadExample, type ReadExamplesOptions } from "./formats/read-examples.js";
export { RefusedRow } from "./formats/refused-row.js";
