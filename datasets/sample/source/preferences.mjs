/** Preference pairs as MedicalGPT reads them, the three categories in turn. */
import { answer, closed, cycle, followUp, question } from "./compose.mjs";

const COUNT = 40; // of each category

/** Which of the idle sentences go together: a Golomb ruler, so that no two answers share more than one. */
const STEPS = [0, 1, 4, 9, 11];

/** A complete answer against one about something else, or some idle sentences; every fifth within a dialogue. */
function helpful(language, index, i) {
  const { topics, useless } = language;
  const told = i % 5 === 4;
  const conversations = told
    ? [
        { from: "human", value: question(language, index, "what", 1) },
        { from: "gpt", value: closed(language, index, answer(language, index, ["what"])) },
        { from: "human", value: followUp(language, index, "do") },
      ]
    : [{ from: "human", value: question(language, index, "do", 1) }];
  return {
    conversations,
    chosen: answer(language, index, [told ? "detail" : "what", "do", "avoid", "seek"]),
    rejected:
      i % 4 === 0
        ? answer(language, (index + 17) % topics.length, ["what", "seek"])
        : STEPS.slice(0, 3 + (i % 3))
            .map((step) => cycle(useless, i - Math.ceil(i / 4) + step))
            .join(language.separator)
            .replaceAll("{}", topics[index].name),
    category: "helpful",
  };
}

/** The rejected answer goes on for up to two sentences, so that length alone does not tell which answer was chosen. */
const written = (language, category, i) => {
  const { ask, chosen, rejected, alone } = language[category][i];
  const list = language.assurances[category];
  const more = [cycle(list, i), cycle(list, i + 1 + (i % (list.length - 1)))].slice(0, alone ? 0 : i % 3);
  return {
    conversations: [{ from: "human", value: ask }],
    chosen,
    rejected: [rejected, ...more].join(language.separator),
    category,
  };
};

export function preferences(language) {
  const indices = language.topics.map((_, index) => index).filter((index) => index % 6 !== 5);
  return Array.from({ length: COUNT }, (_, i) => [
    helpful(language, indices[i], i),
    written(language, "honest", i),
    written(language, "harmless", i),
  ]).flat();
}
