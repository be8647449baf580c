/** Conversations as the text a model reads: by the tokenizer's own Jinja template, or by a prompt format with a name. */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { isJsonObject, readJsonObject } from "../json/read-json-object.js";
import { checkSize, readShortText } from "../text/read-short-text.js";
import { isLegacy } from "./added-tokens.js";
import { JinjaTemplate, StepsError, type Rendered } from "./jinja/render.js";
import type { PromptTemplate } from "./prompt-templates.js";

/** A turn as OpenAI and transformers have it. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

export interface RenderOptions {
  /** Ends with the beginning of an answer. */
  readonly addGenerationPrompt?: boolean;
  /** JSON schemas of the functions a model may call. */
  readonly tools?: readonly unknown[] | undefined;
  /** Further variables of the template, such as enable_thinking. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A tokenizer's Jinja template and the special tokens that it writes. */
export class ChatTemplate {
  readonly #template: JinjaTemplate;

  /**
   * @param place the file it came from
   * @param tokens special tokens by the names of tokenizer_config.json: bos_token, eos_token, …
   * @throws InputError where it cannot be parsed
   */
  constructor(
    readonly source: string,
    readonly place: string,
    readonly tokens: Readonly<Record<string, string>> = {},
  ) {
    try {
      this.#template = new JinjaTemplate(source);
    } catch (cause) {
      throw new InputError(`the chat template cannot be read: ${(cause as Error).message}`, { place, cause });
    }
  }

  /** The text of a conversation. Throws as `renderMarked` does. */
  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    return this.renderMarked(messages, options).text;
  }

  /**
   * The text, and where the answers are that the template marks with `{% generation %}`.
   * @throws InputError with the template's own words where it refuses the conversation, and where it takes too many steps
   */
  renderMarked(messages: readonly ChatMessage[], options: RenderOptions = {}): Rendered {
    try {
      return this.#render(messages, options);
    } catch (cause) {
      if (cause instanceof StepsError)
        throw new InputError(
          `expected a chat template that comes to its end, but ${cause.message} for ${messages.length === 1 ? "one turn" : `${messages.length} turns`}; render fewer turns, or write conversations in another format with --template_name`,
          { place: this.place, cause },
        );
      const reason = (cause as Error).message.replace(/[.!\s]+$/, "");
      throw new InputError(
        `the chat template refuses the conversation: ${reason}; ${this.#wayOut(messages, options)}`,
        {
          place: this.place,
          cause,
        },
      );
    }
  }

  #render(messages: readonly ChatMessage[], options: RenderOptions): Rendered {
    const { addGenerationPrompt = false, tools, variables = {} } = options;
    return this.#template.render({
      ...this.tokens,
      ...variables,
      messages: messages.map(withReasoning),
      tools: tools ?? null,
      documents: null,
      add_generation_prompt: addGenerationPrompt,
    });
  }

  /** What to do about a refusal: whether it is the system prompt's is found by leaving that out. */
  #wayOut(messages: readonly ChatMessage[], options: RenderOptions): string {
    const others = messages.filter(({ role }) => role !== "system");
    const change = "write conversations in another format with --template_name";
    const isSystem = ((): boolean => {
      if (others.length === messages.length) return false;
      try {
        this.#render(others, options);
        return true;
      } catch {
        return false;
      }
    })();
    return isSystem
      ? `put the system prompt at the beginning of the first question instead, or ${change}`
      : `change its turns accordingly, or ${change}`;
  }
}

/** A message's reasoning under the names that templates read (transformers, utils/chat_template_utils.py). */
function withReasoning(message: ChatMessage): ChatMessage {
  const { reasoning_content, thinking, reasoning } = message;
  const said = reasoning_content ?? thinking ?? reasoning;
  return said === undefined || said === null ? message : { thinking: said, ...message, reasoning_content: said };
}

/** The file of a template beside the tokenizer's own files. */
export const TEMPLATE_FILE = "chat_template.jinja";

/** The largest of 136 published templates, that of trl for Gemma's diffusion model, has 20 kB. This is 50 times that. */
const MAX_TEMPLATE_BYTES = 1 << 20;

/**
 * The chat template of a tokenizer's folder: chat_template.jinja, else "chat_template" of tokenizer_config.json (the one named
 * default, where there are several); undefined where it has none.
 * @param over the folder of an adapter, whose chat_template.jinja comes before those of the tokenizer
 * @throws InputError for a template that cannot be parsed or is too large
 */
export async function loadChatTemplate(dir: string, over: string = dir): Promise<ChatTemplate | undefined> {
  const place = join(dir, "tokenizer_config.json");
  const config = (await readJsonObject(place)) ?? {};
  const map = isLegacy(config) ? ((await readJsonObject(join(dir, "special_tokens_map.json"))) ?? {}) : {};
  const tokens: Record<string, string> = {};
  for (const [key, value] of Object.entries({ ...config, ...map })) {
    if (!key.endsWith("_token")) continue;
    const content = isJsonObject(value) ? value["content"] : value;
    if (typeof content === "string") tokens[key] = content;
  }
  for (const file of new Set([join(over, TEMPLATE_FILE), join(dir, TEMPLATE_FILE)])) {
    const own = await readShortText(file, MAX_TEMPLATE_BYTES, "a chat template");
    if (own !== undefined) return new ChatTemplate(own, file, tokens);
  }
  const value = config["chat_template"];
  if (value === undefined || value === null) return undefined;
  const fromConfig = (template: string): ChatTemplate => {
    checkSize(Buffer.byteLength(template), MAX_TEMPLATE_BYTES, "a chat template", place);
    return new ChatTemplate(template, place, tokens);
  };
  if (typeof value === "string") return fromConfig(value);
  const named = Array.isArray(value) ? (value as unknown[]).filter(isJsonObject) : [];
  const chosen = (named.find(({ name }) => name === "default") ?? named[0])?.["template"];
  if (typeof chosen === "string") return fromConfig(chosen);
  throw new InputError('expected "chat_template" to be a template or a list of templates with names', { place });
}

/**
 * Questions and answers in a named format, in turn: element 2 k is the text of question k with what goes before it, 2 k + 1
 * the answer.
 * @param systemPrompt in place of the format's own
 */
export function renderDialog(
  template: PromptTemplate,
  turns: readonly (readonly [question: string, answer: string])[],
  systemPrompt?: string,
): string[] {
  const system = systemPrompt === undefined || systemPrompt === "" ? template.systemPrompt : systemPrompt;
  return turns.flatMap(([question, answer], index) => {
    const before = index > 0 ? template.separator : system === "" ? "" : system + template.separator;
    return [before + template.prompt.replace("{query}", () => question), answer];
  });
}
