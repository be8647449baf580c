/** The template cannot be parsed or refuses what it is given. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}
