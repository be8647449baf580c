/**
 * Questions and answers about a topic, put together from its facets. What is chosen depends on counters alone, so that the same
 * rows come out every time.
 */
import * as en from "./phrases/en.mjs";
import * as zh from "./phrases/zh.mjs";
import * as enPreferences from "./preferences/en.mjs";
import * as zhPreferences from "./preferences/zh.mjs";
import { toolDialogues } from "./tool-dialogues.mjs";
import { topics as enTopics } from "./topics/en.mjs";
import { topics as zhTopics } from "./topics/zh.mjs";

export const languages = {
  zh: { ...zh, ...zhPreferences, topics: zhTopics, toolDialogues: toolDialogues.zh },
  en: { ...en, ...enPreferences, topics: enTopics, toolDialogues: toolDialogues.en },
};

export const FACETS = ["what", "detail", "do", "avoid", "seek"];

export const cycle = (list, index) => list[index % list.length];

/**
 * A question about a facet of topic `index`.
 * @param use 0 for dialogues, 1 for preferences, 2 for prompts: each has a form of its own
 */
export function question(language, index, facet, use) {
  const topic = language.topics[index];
  const forms = language.questions[topic.kind][facet];
  const form = forms[(index + FACETS.indexOf(facet) + use) % 3];
  const opening = (index + use) % 5 === 0 ? cycle(language.openings, index) : "";
  return opening + form.replaceAll("{}", topic.name);
}

export const followUp = (language, index, facet) => language.questions[language.topics[index].kind][facet][3];

/** The text of some facets of topic `index`, the first of which was asked for. */
export function answer(language, index, facets) {
  const topic = language.topics[index];
  const parts = facets.map((facet, position) => {
    const ways = language.lists[facet];
    return ways === undefined ? topic[facet] : ways[position === 0 ? index % 3 : 3](topic.name, topic[facet]);
  });
  return join(language, parts);
}

/** An answer that ends with a general remark. */
export const closed = (language, index, text) => join(language, [text, cycle(language.closings, index)]);

/** What follows a list stands on a line of its own. */
const join = (language, parts) =>
  parts.reduce((text, part) => text + (text.includes("\n") ? "\n" : language.separator) + part);
