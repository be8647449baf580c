import { readConversation, type Conversation } from "./conversation.js";
import type { DialogEncoder } from "./encode-dialog.js";
import type { Changed, LeftOut } from "./left-out.js";
import { specialTextFinder } from "./special-text.js";
import type { ToolFormatName } from "./tool-formats.js";

/**
 * Reads rows as `readConversation` does, for an encoder, and says too what its tokenizer and template make of their texts.
 * @throws InputError (from the reader) for a row of another form
 */
export function chatReader(
  { tokenizer, dialog }: DialogEncoder,
  toolFormat: ToolFormatName | null,
): (row: Readonly<Record<string, unknown>>, place: string, say: (what: LeftOut | Changed) => void) => Conversation {
  const specialsIn = specialTextFinder(tokenizer);
  return (row, place, say) => {
    let special = false;
    const onText = (text: string): void => void (special ||= specialsIn(text).length > 0);
    const conversation = readConversation(row, { place, toolFormat, onLeftOut: say, onText });
    if (special) say("conversation with special tokens of the tokenizer in the text");
    if (conversation.system !== "" && !dialog.showsSystem) say("system prompt that the chat template does not show");
    return conversation;
  };
}
