import { validationCount } from "../order/sampler.js";
import { documentCount, sliceDocuments, type TokenDocuments } from "./token-documents.js";

/** Sets `percent` % of the documents aside, the first ones, as MedicalGPT does where it is given no validation set. */
export function holdOut(
  documents: TokenDocuments,
  percent: number,
): { readonly held: TokenDocuments; readonly rest: TokenDocuments } {
  const count = documentCount(documents);
  const held = validationCount(count, percent);
  return { held: sliceDocuments(documents, 0, held), rest: sliceDocuments(documents, held, count) };
}
