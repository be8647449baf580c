/** Preference pairs as MedicalGPT reads them, the three categories in turn. */
import { answer, closing, cycle, followUp, question } from "./compose.mjs";

const COUNT = 40; // of each category

/** A complete answer against one about something else, or up to three idle sentences; every fifth within a dialogue. */
function helpful(language, index, i) {
  const { topics, useless } = language;
  const told = i % 5 === 4;
  const conversations = told
    ? [
        { from: "human", value: question(language, index, "what", 1) },
        { from: "gpt", value: answer(language, index, ["what"]) + language.separator + closing(language, index) },
        { from: "human", value: followUp(language, index, "do") },
      ]
    : [{ from: "human", value: question(language, index, "do", 1) }];
  return {
    conversations,
    chosen: answer(language, index, [told ? "detail" : "what", "do", "avoid", "seek"]),
    rejected:
      i % 4 === 0
        ? answer(language, (index + 17) % topics.length, ["what", "seek"])
        : Array.from({ length: 1 + (i % 3) }, (_, k) => cycle(useless, i - Math.ceil(i / 4) + 7 * k))
            .join(language.separator)
            .replaceAll("{}", topics[index].name),
    category: "helpful",
  };
}

const written = ({ ask, chosen, rejected }, category) => ({
  conversations: [{ from: "human", value: ask }],
  chosen,
  rejected,
  category,
});

export function preferences(language) {
  const indices = language.topics.map((_, index) => index).filter((index) => index % 6 !== 5);
  return Array.from({ length: COUNT }, (_, i) => [
    helpful(language, indices[i], i),
    written(language.honest[i], "honest"),
    written(language.harmless[i], "harmless"),
  ]).flat();
}
