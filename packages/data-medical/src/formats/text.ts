import { all, textIn, without, type Format } from "./format.js";

/** A document a row; a line of a .txt file is one. */
export const text: Format = {
  name: "text",
  kind: "text",
  about: "`text`; a line of .txt",
  matches: (row) => all(row, "text"),
  read: (row) => ({ kind: "text", text: textIn(row, "text"), extra: without(row, "text") }),
};
