/**
 * The one rendering of a conversation up to an answer, for training and for use: by the tokenizer's own chat template, or by
 * a prompt format with a name. The ids of a prompt are those of its text, as transformers' apply_chat_template reads it:
 * no special tokens are added to those that the text has.
 */
import { InputError } from "@medgpt/artifacts";
import { renderDialog, type ChatMessage, type ChatTemplate } from "../tokenizer/chat-template.js";
import { PROMPT_TEMPLATES, type PromptTemplate, type TemplateName } from "../tokenizer/prompt-templates.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

export interface ChatForm {
  /** Whatever decides the texts, for a digest. */
  readonly identity: string;
  /** Ends every answer that is learnt; undefined where the tokenizer has no token for that. */
  readonly endId: number | undefined;
  /** What is written after an answer, with the text of endId, before the next turn. */
  readonly ending: string;
  /** Tokens or texts that end an answer in generation, besides the end of text. */
  readonly stopIds: readonly number[];
  readonly stopStrings: readonly string[];
  /**
   * All the text before the answer to come.
   * @throws InputError where the template refuses the conversation
   */
  prompt(messages: readonly ChatMessage[]): string;
}

/** An answer that no template would write by itself. */
export const MARK = "medgpt-answer";

/**
 * @param name a prompt format, in place of the tokenizer's template
 * @param template the tokenizer's own
 * @returns undefined where there is neither
 */
export function createChatForm(
  tokenizer: Tokenizer,
  name: TemplateName | null,
  template: ChatTemplate | undefined,
): ChatForm | undefined {
  if (name !== null) return new NamedForm(tokenizer, name);
  if (template === undefined) return undefined;
  const ending = endOfTurn(template);
  const stop = endOfTurnId(tokenizer, ending);
  return {
    identity: JSON.stringify([template.source, template.tokens]),
    endId: stop ?? tokenizer.eosId,
    ending,
    stopIds: stop === undefined ? [] : [stop],
    stopStrings: [],
    prompt: (messages) => template.render(messages, { addGenerationPrompt: true }),
  };
}

/** The ids up to where the answer begins. Throws as `prompt` does. */
export function encodePrompt(tokenizer: Tokenizer, form: ChatForm, messages: readonly ChatMessage[]): Int32Array {
  return tokenizer.encode(form.prompt(messages), { addSpecialTokens: false });
}

/** MedicalGPT's formats, which know questions and answers alone. */
export class NamedForm implements ChatForm {
  readonly identity: string;
  readonly endId: number | undefined;
  readonly ending: string;
  readonly stopIds: readonly number[];
  readonly stopStrings: readonly string[];
  /** What the tokenizer writes before every text: the token for its beginning, for many. */
  readonly prefix: string;
  readonly #name: TemplateName;

  constructor(tokenizer: Tokenizer, name: TemplateName) {
    const { stop } = PROMPT_TEMPLATES[name];
    this.#name = name;
    const stopId = tokenizer.tokenToId(stop);
    this.endId = tokenizer.eosId ?? stopId;
    this.prefix = textBefore(tokenizer);
    const end = this.endId === undefined ? "" : (tokenizer.idToToken(this.endId) ?? "");
    // A token that texts cannot have is left out of them.
    this.ending = tokenizer.encode(end, { addSpecialTokens: false }).join() === String(this.endId) ? end : "";
    this.stopIds = stopId === undefined ? [] : [stopId];
    this.stopStrings = stopId === undefined ? [stop] : [];
    this.identity = JSON.stringify([PROMPT_TEMPLATES[name], this.prefix, this.ending]);
  }

  prompt(messages: readonly ChatMessage[]): string {
    const system = messages.find(({ role }) => role === "system")?.content ?? "";
    const turns: [string, string][] = [];
    const said = messages.filter(({ role }) => role !== "system");
    for (const [index, { role, content }] of said.entries()) {
      if (role !== (index % 2 === 0 ? "user" : "assistant"))
        throw new InputError(
          `this prompt format has user and assistant turns in turn, but turn ${index + 1} is one of role "${role}"`,
        );
      if (role === "user") turns.push([content, ""]);
      else turns.at(-1)![1] = content;
    }
    return this.sources({ system, turns })
      .map((source, index) => (index === 0 ? source : withoutStart(turns[index - 1]![1], source, this.ending)))
      .join("");
  }

  /** The same as a Jinja template. */
  toJinja(): string {
    const { systemPrompt, prompt, separator } = PROMPT_TEMPLATES[this.#name] as PromptTemplate;
    const [start, end] = prompt.split("{query}") as [string, string?];
    const asked = end === undefined ? literal(start) : `${literal(start)} + message['content'] + ${literal(end)}`;
    const between =
      this.ending !== "" && separator.startsWith(this.ending) ? separator.slice(this.ending.length) : separator;
    return `{#- MedicalGPT's prompt format "${this.#name}", as medgpt sft wrote it -#}
{%- set ns = namespace(system=none, turns=0) -%}
{%- for message in messages -%}
    {%- if message['role'] == 'system' and ns.system is none -%}{%- set ns.system = message['content'] -%}{%- endif -%}
{%- endfor -%}
{%- set system = ns.system or ${literal(systemPrompt)} -%}
{%- for message in messages -%}
    {%- if message['role'] != 'system' -%}
        {%- if message['role'] != ('assistant' if ns.turns % 2 else 'user') -%}
            {{- raise_exception('expected user and assistant turns in turn') -}}
        {%- endif -%}
        {%- if message['role'] == 'assistant' -%}
            {{- message['content'] -}}
            {%- if not message['content'].endswith(${literal(this.ending)}) -%}{{- ${literal(this.ending)} -}}{%- endif -%}
        {%- elif ns.turns -%}
            {{- ${literal(between)} + ${asked} -}}
        {%- else -%}
            {%- set text = (system + ${literal(separator)} if system else '') + ${asked} -%}
            {%- if not text.startswith(${literal(this.prefix)}) -%}{{- ${literal(this.prefix)} -}}{%- endif -%}
            {{- text -}}
        {%- endif -%}
        {%- set ns.turns = ns.turns + 1 -%}
    {%- endif -%}
{%- endfor -%}
`;
  }

  /** The text before each answer from the end of the last one on, which it begins with. */
  sources({ system, turns }: { system: string; turns: readonly (readonly [string, string])[] }): string[] {
    const texts = renderDialog(PROMPT_TEMPLATES[this.#name], turns, system);
    return turns.map((_, index) => {
      const text = texts[2 * index]!;
      const before = index === 0 ? this.prefix : this.ending;
      return text.startsWith(before) ? text : before + text;
    });
  }
}

/** A prompt format as the chat template of a tokenizer: what transformers renders with it are the same texts. */
export function jinjaTemplate(tokenizer: Tokenizer, name: TemplateName): string {
  return new NamedForm(tokenizer, name).toJinja();
}

/** A string of Jinja. */
function literal(text: string): string {
  const escaped = text.replace(/[\\']/g, "\\$&").replace(/\n/g, "\\n").replace(/\r/g, "\\r").replace(/\t/g, "\\t");
  return `'${escaped}'`;
}

/** An answer and what follows it, whose end may be part of the answer already. */
function withoutStart(answer: string, source: string, ending: string): string {
  return answer + (ending !== "" && answer.endsWith(ending) ? source.slice(ending.length) : source);
}

/** The special tokens that tokenizer.json's post-processor puts first, as text. */
function textBefore(tokenizer: Tokenizer): string {
  const [plain, full] = [false, true].map((addSpecialTokens) => [...tokenizer.encode("a", { addSpecialTokens })]);
  const count = full!.findIndex((_, at) => plain!.every((id, index) => full![at + index] === id));
  const ids = full!.slice(0, Math.max(0, count));
  const text = ids.map((id) => tokenizer.idToToken(id) ?? "").join("");
  if (ids.length === 0 || tokenizer.encode(text, { addSpecialTokens: false }).join() === ids.join()) return text;
  throw new InputError(
    `puts ${JSON.stringify(text)} before every text, which is none of its added tokens; add it to added_tokens in tokenizer.json`,
    { place: tokenizer.dir },
  );
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
