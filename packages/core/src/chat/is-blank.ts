/** Space of every width, control characters, and characters that cannot be seen: U+200B, U+FEFF, fillers, empty braille. */
const BLANK = /^[\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]*$/u;

/** Whether a text says nothing. */
export function isBlank(text: string): boolean {
  return BLANK.test(text);
}
