/** Dialogues in ShareGPT's form: each topic gives two of one turn and one of two or three. */
import { answer, closed, cycle, FACETS, followUp, question } from "./compose.mjs";

/** The facets that the long dialogue of a topic asks for, in turn; two others have a dialogue each. */
const PLANS = [
  ["what", "do", "seek"],
  ["what", "seek"],
  ["detail", "do"],
  ["what", "do"],
  ["detail", "do", "avoid"],
  ["do", "seek"],
];

/** What an answer adds to the facet that was asked for. */
const ADDED = { what: "detail", detail: "seek", do: "avoid", avoid: "seek", seek: "do" };

function dialogue(language, index, facets) {
  const said = new Set(facets);
  return facets.flatMap((facet, turn) => {
    const added = ADDED[facet];
    const text = said.has(added)
      ? closed(language, index + turn, answer(language, index, [facet]))
      : answer(language, index, [facet, added]);
    said.add(added);
    return [
      { from: "human", value: turn === 0 ? question(language, index, facet, 0) : followUp(language, index, facet) },
      { from: "gpt", value: text },
    ];
  });
}

export function dialogues(language) {
  const plans = language.topics.map((_, index) => cycle(PLANS, index));
  const others = plans.map((plan) => FACETS.filter((facet) => !plan.includes(facet)));
  const turns = [...others.map(([first]) => [first]), ...others.map(([, second]) => [second]), ...plans];
  const rows = turns.map((facets, i) => {
    const conversations = dialogue(language, i % language.topics.length, facets);
    const system = { from: "system", value: cycle(language.systems, i) };
    return { conversations: i % 13 === 0 ? [system, ...conversations] : conversations };
  });
  return [...rows, ...language.toolDialogues];
}
