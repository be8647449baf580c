/** Prompts to answer: questions about the topics in a form that no dialogue has. */
import { cycle, FACETS, question } from "./compose.mjs";

const COUNT = 50;

export const prompts = (language) =>
  Array.from({ length: COUNT }, (_, i) => {
    const round = Math.floor(i / language.topics.length);
    return { prompt: question(language, i % language.topics.length, cycle(FACETS, i + round), 2) };
  });
