export { readConversation, type Conversation, type LeftOut, type ReadConversationOptions } from "./conversation.js";
export { createDialog, endOfTurn, endOfTurnId, type Dialog, type RenderedTurn } from "./dialog.js";
export { DialogEncoder, joinTurns, type Cut, type EncodedTurn } from "./encode-dialog.js";
export { encodingFlags, templateFlag } from "./flags.js";
export { proveLabels } from "./prove-labels.js";
export { TOOL_FORMATS, type FunctionCall, type ToolFormat, type ToolFormatName } from "./tool-formats.js";
