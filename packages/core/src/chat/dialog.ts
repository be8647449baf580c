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
  /** Whether a template now writes an earlier turn otherwise than before, so that `source` does not go on from there. */
  readonly rewritten: boolean;
  /** All the text before the answer. */
  readonly whole: string;
}

export interface Dialog {
  /** Ends every answer. */
  readonly endId: number;
  /** Whatever decides the texts, for a digest. */
  readonly identity: string;
  /** @throws InputError where the template refuses the conversation */
  render(conversation: Conversation): RenderedTurn[];
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
      identity: JSON.stringify(format),
      render: ({ system, turns }) => {
        const texts = renderDialog(format, turns, system);
        return turns.map(([, answer], index) => ({
          ...{ source: texts[2 * index]!, answer, rewritten: false },
          whole: texts.slice(0, 2 * index + 1).join(""),
        }));
      },
    };
  }
  if (template === undefined)
    throw new InputError("the tokenizer has no chat template; give --template_name", { place: tokenizer.dir });
  const ending = endOfTurn(template);
  const first = [...tokenizer.encode(ending, { addSpecialTokens: false })].find(
    (id) => tokenizer.decode([id]).trim() !== "",
  );
  const special = first !== undefined && tokenizer.decode([first], { skipSpecialTokens: true }) === "";
  return {
    endId: required(special ? first : tokenizer.eosId, "</s>", tokenizer),
    identity: JSON.stringify([template.source, template.tokens]),
    render: (conversation) => renderTemplate(template, conversation, ending),
  };
}

/** What a template writes after an answer. */
export function endOfTurn(template: ChatTemplate): string {
  const turns = [
    { role: "user", content: "1" },
    { role: "assistant", content: MARK },
  ];
  return template.render(turns).split(MARK).at(-1) as string;
}

function renderTemplate(template: ChatTemplate, { system, turns }: Conversation, ending: string): RenderedTurn[] {
  const messages: ChatMessage[] = system === "" ? [] : [{ role: "system", content: system }];
  let before: readonly string[] = [""]; // how the text up to here may begin in the next turn's
  return turns.map(([question, answer]) => {
    messages.push({ role: "user", content: question });
    const text = template.render(messages, { addGenerationPrompt: true });
    const known = before.find((start) => text.startsWith(start));
    messages.push({ role: "assistant", content: answer });
    before = [template.render(messages), text + answer + ending];
    return { source: text.slice(known?.length), answer, rewritten: known === undefined, whole: text };
  });
}

function required(id: number | undefined, token: string, tokenizer: Tokenizer): number {
  if (id !== undefined) return id;
  throw new InputError(
    `answers end with an end-of-text token, and the tokenizer names none and has no ${JSON.stringify(token)}; set eos_token in tokenizer_config.json`,
    { place: tokenizer.dir },
  );
}
