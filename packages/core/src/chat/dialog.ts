/** The text of a conversation in training: the prompt of the first answer, then the text between each answer and the next. */
import { InputError } from "@medgpt/artifacts";
import type { ChatMessage, ChatTemplate } from "../tokenizer/chat-template.js";
import { PROMPT_TEMPLATES, type TemplateName } from "../tokenizer/prompt-templates.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { createChatForm, MARK, NamedForm, type ChatForm } from "./chat-form.js";
import type { Conversation } from "./conversation.js";
import { EARLIER, ELSEWHERE, type Unlike } from "./left-out.js";

export interface RenderedTurn {
  /** The text between the end of the last answer (which may be part of it) and this answer. If `rewritten`, all the text before it. */
  readonly source: string;
  readonly answer: string;
  /** Whether the template now writes an earlier turn in another way, so that this turn cannot continue the row. */
  readonly rewritten: boolean;
  /** The differences from the text that a model is given in generation. */
  readonly unlike?: readonly Unlike[];
}

/** A text and its ids. */
export interface Encoded {
  readonly text: string;
  readonly ids: Int32Array;
}

export interface Dialog extends ChatForm {
  readonly endId: number;
  /** Whether a system prompt is in the texts. */
  readonly showsSystem: boolean;
  /**
   * The turns, each rendered when it is asked for.
   * @throws InputError (from the iteration) where the template refuses the conversation
   */
  render(conversation: Conversation): Iterable<RenderedTurn>;
  /**
   * Whether an answer has the same tokens alone as it has between the texts around it.
   * @param before the text up to the answer, or its end
   */
  goesOn(before: Encoded, answer: Encoded): boolean;
  /** If the tokens differ: whether the conversation stays one row, as MedicalGPT's do; else each such answer begins a new row. */
  readonly keepsRows: boolean;
  /** All the text before the last answer: its prompt. Throws as `render` does. */
  beforeLastAnswer(conversation: Conversation): string;
}

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
  const form = createChatForm(tokenizer, name, template);
  if (form === undefined)
    throw new InputError("the tokenizer has no chat template; give --template_name", { place: tokenizer.dir });
  const endId = required(form.endId, name === null ? "</s>" : PROMPT_TEMPLATES[name].stop, tokenizer);
  const { identity, ending, stopIds, stopStrings } = form;
  return {
    showsSystem: form instanceof NamedForm || showsSystem(template as ChatTemplate),
    ...{ identity, endId, ending, stopIds, stopStrings },
    prompt: (messages) => form.prompt(messages),
    beforeLastAnswer: (conversation) => form.prompt(messagesOf(conversation).slice(0, -1)),
    goesOn: boundaries(tokenizer, form),
    keepsRows: form instanceof NamedForm,
    render: (conversation) => {
      if (!(form instanceof NamedForm)) return renderTemplate(template as ChatTemplate, conversation, ending);
      const sources = form.sources(conversation);
      return conversation.turns.map(([, answer], turn) => ({ source: sources[turn]!, answer, rewritten: false }));
    },
  };
}

/** The number of characters on each side of a boundary that decide where tokens begin: more than any special token has. */
const NEAR = 64;

/** `Dialog.goesOn`, which depends on the last token of the prompt and the first of the answer: results are kept by these two. */
function boundaries(tokenizer: Tokenizer, { endId, ending }: ChatForm): Dialog["goesOn"] {
  const encode = (text: string): number[] => [...tokenizer.encode(text, { addSpecialTokens: false })];
  const apart = (left: string, right: string): boolean =>
    encode(left + right).join() === [...encode(left), ...encode(right)].join();
  let ends: boolean | undefined; // of answers that end with text
  const known = new Map<string, boolean>();
  return (before, answer) => {
    ends ??= encode(ending)[0] === endId && apart(MARK, ending);
    if (!ends) return false;
    if (/\s$/.test(answer.text) && !apart(answer.text.slice(-NEAR), ending)) return false;
    // The first character as well: the first token may hold a space that the tokenizer puts before a text.
    const key = `${before.ids.at(-1)} ${answer.ids[0]} ${answer.text.charAt(0)}`;
    const found = known.get(key) ?? apart(before.text.slice(-NEAR), answer.text.slice(0, NEAR));
    known.set(key, found);
    return found;
  };
}

/** Whether a template writes a system prompt. A template that refuses one says so itself, later. */
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
  const { turns } = conversation;
  let upTo = messages.length - 2 * turns.length; // messages
  let last: { text: string; answer: string } | undefined;
  for (const [index, [, answer]] of turns.entries()) {
    const text = template.render(messages.slice(0, upTo + 1), { addGenerationPrompt: true });
    let turn: RenderedTurn = { source: text, answer, rewritten: false };
    if (last !== undefined) {
      const before = last.text + last.answer;
      if (text.startsWith(before + ending)) {
        turn = { ...turn, source: text.slice(before.length) };
      } else {
        const history = template.render(messages.slice(0, upTo));
        // Spaces around an answer, as Llama 2 has them, do not part the turns.
        if (text.startsWith(history) && unspaced(history) === unspaced(before + ending))
          turn = { ...turn, source: text.slice(history.length), unlike: [EARLIER] };
        else turn = { ...turn, rewritten: true };
      }
    }
    // It may refuse the last answer, or begin it elsewhere.
    if (index === turns.length - 1 && !template.render(messages).startsWith(text))
      turn = { ...turn, unlike: [...(turn.unlike ?? []), ELSEWHERE] };
    yield turn;
    upTo += 2;
    last = { text, answer };
  }
}

function unspaced(text: string): string {
  return text.replace(/\s+/g, "");
}

function required(id: number | undefined, token: string, tokenizer: Tokenizer): number {
  if (id !== undefined) return id;
  throw new InputError(
    `answers end with an end-of-text token, and the tokenizer names none and has no ${JSON.stringify(token)}; set eos_token in tokenizer_config.json`,
    { place: tokenizer.dir },
  );
}
