/** How a model is shown a conversation: by a prompt format with a name, or by the tokenizer's own chat template. */
import { InputError } from "@medgpt/artifacts";
import { renderDialog, type ChatMessage, type ChatTemplate } from "../tokenizer/chat-template.js";
import { PROMPT_TEMPLATES, type TemplateName } from "../tokenizer/prompt-templates.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Conversation } from "./conversation.js";

export interface RenderedTurn {
  /** From the end of the last answer's turn to where the answer begins. */
  readonly source: string;
  readonly answer: string;
  /** Whether a template now writes an earlier turn otherwise than before, so that nothing goes on from there. */
  readonly rewritten: boolean;
}

export interface Dialog {
  /** Ends every answer. */
  readonly endId: number;
  /** Whether a system prompt is in the texts. */
  readonly showsSystem: boolean;
  /** Whatever decides the texts, for a digest. */
  readonly identity: string;
  /**
   * The turns, each rendered when it is asked for.
   * @throws InputError (from the iteration) where the template refuses the conversation
   */
  render(conversation: Conversation): Iterable<RenderedTurn>;
  /** All the text before the last answer. Throws as `render` does. */
  beforeLastAnswer(conversation: Conversation): string;
}

/** An answer that no template would write by itself. */
const MARK = "medgpt-answer";

/**
 * @param name a prompt format, in place of the tokenizer's template
 * @param template the tokenizer's own
 * @throws InputError where there is neither, or nothing to end an answer with
 */
export function createDialog(
  tokenizer: Tokenizer,
  name: TemplateName | null,
  template: ChatTemplate | undefined,
): Dialog {
  if (name !== null) {
    const format = PROMPT_TEMPLATES[name];
    const endId = tokenizer.eosId ?? tokenizer.tokenToId(format.stop);
    return {
      endId: required(endId, format.stop, tokenizer),
      showsSystem: true,
      identity: JSON.stringify(format),
      render: ({ system, turns }) => {
        const texts = renderDialog(format, turns, system);
        return turns.map(([, answer], index) => ({ source: texts[2 * index]!, answer, rewritten: false }));
      },
      beforeLastAnswer: ({ system, turns }) => renderDialog(format, turns, system).slice(0, -1).join(""),
    };
  }
  if (template === undefined)
    throw new InputError("the tokenizer has no chat template; give --template_name", { place: tokenizer.dir });
  const ending = endOfTurn(template);
  return {
    endId: required(endOfTurnId(tokenizer, ending) ?? tokenizer.eosId, "</s>", tokenizer),
    showsSystem: showsSystem(template),
    identity: JSON.stringify([template.source, template.tokens]),
    render: (conversation) => renderTemplate(template, conversation, ending),
    beforeLastAnswer: (conversation) =>
      template.render(messagesOf(conversation).slice(0, -1), { addGenerationPrompt: true }),
  };
}

/** The special token that begins what a template writes after an answer; undefined where it begins with text. */
export function endOfTurnId(tokenizer: Tokenizer, ending: string): number | undefined {
  // Some tokenizers put a token for no text before a special one.
  const first = [...tokenizer.encode(ending, { addSpecialTokens: false })].find(
    (id) => tokenizer.decode([id]).trim() !== "",
  );
  return first !== undefined && tokenizer.decode([first], { skipSpecialTokens: true }) === "" ? first : undefined;
}

/** What a template writes after an answer. */
export function endOfTurn(template: ChatTemplate): string {
  const turns = [
    { role: "user", content: "1" },
    { role: "assistant", content: MARK },
  ];
  return template.render(turns).split(MARK).at(-1) as string;
}

/** Whether a template writes a system prompt; one that refuses it says so itself. */
function showsSystem(template: ChatTemplate): boolean {
  try {
    return template.render(messagesOf({ system: MARK, turns: [["1", "1"]] })).includes(MARK);
  } catch {
    return true;
  }
}

/** A conversation as templates take it. */
export function messagesOf({ system, turns }: Conversation): ChatMessage[] {
  const said = turns.flatMap(([question, answer]) => [
    { role: "user", content: question },
    { role: "assistant", content: answer },
  ]);
  return system === "" ? said : [{ role: "system", content: system }, ...said];
}

function* renderTemplate(
  template: ChatTemplate,
  conversation: Conversation,
  ending: string,
): Generator<RenderedTurn, void> {
  const messages = messagesOf(conversation);
  let upTo = messages.length - 2 * conversation.turns.length; // messages
  let before = ""; // what the text of the next turn may begin with
  for (const [, answer] of conversation.turns) {
    const text = template.render(messages.slice(0, upTo + 1), { addGenerationPrompt: true });
    if (!text.startsWith(before)) before = template.render(messages.slice(0, upTo));
    const goesOn = text.startsWith(before);
    yield { source: goesOn ? text.slice(before.length) : text, answer, rewritten: !goesOn };
    upTo += 2;
    before = text + answer + ending;
  }
  template.render(messages); // it may refuse the last answer
}

function required(id: number | undefined, token: string, tokenizer: Tokenizer): number {
  if (id !== undefined) return id;
  throw new InputError(
    `answers end with an end-of-text token, and the tokenizer names none and has no ${JSON.stringify(token)}; set eos_token in tokenizer_config.json`,
    { place: tokenizer.dir },
  );
}
