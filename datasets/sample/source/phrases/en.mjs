/** How English questions and answers are put; see zh.mjs. */
export const questions = {
  condition: {
    what: ["What is {}?", "Can you explain {} in plain words?", "What happens in {}?"],
    detail: [
      "What are the usual features of {}?",
      "Can you tell me more about {}?",
      "What does {} look like, and what brings it on?",
      "What are the signs and triggers?",
    ],
    do: [
      "What can I do about {} myself?",
      "How is {} looked after at home?",
      "Which everyday steps help with {}?",
      "What can I do about it?",
    ],
    avoid: [
      "What should I not do with {}?",
      "Which mistakes are common with {}?",
      "Is there anything to avoid with {}?",
      "Is there anything to avoid?",
    ],
    seek: [
      "When does {} need a doctor?",
      "Which warning signs matter with {}?",
      "How long can I wait before getting help for {}?",
      "When should I see a doctor?",
    ],
  },
  firstAid: {
    what: ["What happens in {}?", "Why should I know about {}?", "Please describe {}."],
    detail: [
      "How do I judge how bad {} is?",
      "What are the signs of {}?",
      "How do I recognise {}?",
      "How do I judge how bad it is?",
    ],
    do: [
      "What is the first aid for {}?",
      "Which steps should I take for {}?",
      "Can you talk me through helping with {}?",
      "What should I do on the spot?",
    ],
    avoid: [
      "What must I not do for {}?",
      "Which first aid errors are made with {}?",
      "Are there old tricks for {} that do harm?",
      "What would be wrong to do?",
    ],
    seek: [
      "When does {} call for an ambulance?",
      "Should someone with {} go to hospital?",
      "When is {} an emergency?",
      "When is it an emergency?",
    ],
  },
  medicine: {
    what: ["What is the purpose of {}?", "What can {} treat?", "My doctor mentioned {}. What is the idea?"],
    detail: [
      "What are the side effects of {}?",
      "How safe is it to use {}?",
      "What might I notice while using {}?",
      "Are there any side effects?",
    ],
    do: [
      "How should I use {}?",
      "What is the right way to take {}?",
      "I am new to {}. How do I use this properly?",
      "What is the right way to use this?",
    ],
    avoid: [
      "What should I avoid while using {}?",
      "Which mistakes do people make with {}?",
      "What does not go together with {}?",
      "What should I avoid then?",
    ],
    seek: [
      "When should I call a doctor while using {}?",
      "Which reactions to {} are dangerous?",
      "What are the red flags with {}?",
      "When would I need help?",
    ],
  },
  lab: {
    what: ["What does {} measure?", "Why would a doctor want {}?", "What is {} for?"],
    detail: [
      "How do I read the result of {}?",
      "What can change the result of {}?",
      "What do the values of {} mean?",
      "How is the result read?",
    ],
    do: [
      "How do I prepare for {}?",
      "What is the right procedure for {}?",
      "What should I remember before {}?",
      "How do I prepare?",
    ],
    avoid: [
      "What could spoil {}?",
      "What should I not do around {}?",
      "Which errors are common with {}?",
      "What should I not do?",
    ],
    seek: [
      "Which result of {} needs a doctor?",
      "When should I worry about {}?",
      "What follows an abnormal result of {}?",
      "Which result should worry me?",
    ],
  },
  nutrition: {
    what: ["What does {} do in the body?", "Why does {} matter in a diet?", "Tell me about {} in food."],
    detail: [
      "Which foods contain {}?",
      "Where does {} come from?",
      "Which meals bring in {}?",
      "Which foods contain it?",
    ],
    do: [
      "How do I get the right amount of {}?",
      "What are good habits around {}?",
      "How should I plan {} into my day?",
      "How do I get the amount right?",
    ],
    avoid: [
      "What are common mistakes with {}?",
      "What should I avoid when it comes to {}?",
      "What do people get wrong about {}?",
      "What do people get wrong?",
    ],
    seek: [
      "Who should ask a doctor about {}?",
      "When is {} a matter for a check-up?",
      "Who has to be careful about {}?",
      "Who should ask a doctor?",
    ],
  },
  organ: {
    what: ["What is the job of {}?", "What can you tell me about {}?", "Could you describe {}?"],
    detail: ["Which diseases affect {}?", "What can go wrong with {}?", "What harms {}?", "What can go wrong?"],
    do: [
      "How do I protect {}?",
      "What keeps {} healthy?",
      "Which habits are good for {}?",
      "What protects against such trouble?",
    ],
    avoid: [
      "Which habits damage {}?",
      "What is bad for {}?",
      "What should I stop doing for the sake of {}?",
      "Which habits do damage?",
    ],
    seek: [
      "Which symptoms of {} need a check?",
      "How do problems of {} announce themselves?",
      "When should I have {} examined?",
      "Which symptoms need a check?",
    ],
  },
  visit: {
    what: ["What is the point of {}?", "Why have {}?", "Could you explain the reason for {}?"],
    detail: [
      "What should I expect from {}?",
      "What is usual during and after {}?",
      "What happens at {}?",
      "What should I expect?",
    ],
    do: ["How do I get ready for {}?", "What should I bring or do for {}?", "Any tips for {}?", "How do I get ready?"],
    avoid: [
      "What should I not do when I have {}?",
      "Which mistakes can I avoid around {}?",
      "What is unwise before {}?",
      "Is anything unwise?",
    ],
    seek: [
      "When is {} not the right thing, or not enough?",
      "What is urgent in connection with {}?",
      "Which problems around {} cannot wait?",
      "What would be urgent?",
    ],
  },
  term: {
    what: ["What does it mean when doctors speak of {}?", "What is meant by {}?", "My letter mentions {}. What is it?"],
    detail: [
      "Can you say more about {}?",
      "What is there to know about {}?",
      "What should I know about {} in practice?",
      "Can you say a little more?",
    ],
    do: [
      "What should a patient do about {}?",
      "What is sensible when it comes to {}?",
      "How do I deal with {}?",
      "What should I do then?",
    ],
    avoid: [
      "Which misunderstandings are there about {}?",
      "What should nobody do about {}?",
      "What is easily got wrong about {}?",
      "What is easily misunderstood?",
    ],
    seek: [
      "When do I report back in connection with {}?",
      "Which signs matter after hearing of {}?",
      "When should I call the team about {}?",
      "When should I call the team?",
    ],
  },
};

export const openings = ["Hello. ", "I have a question. ", "Hi there. ", "Please help me. "];

export const systems = [
  "You are a careful health information assistant. You explain and do not diagnose.",
  "Answer questions about health in plain words, and say when a doctor is needed.",
  "You help patients to prepare for a visit. Keep to general knowledge.",
  "You work at the information desk of a health centre. Be friendly, accurate and brief.",
];

export const closings = [
  "This is general information only; a doctor or pharmacist who knows your history, medicines and results can advise you better.",
  "Please treat this as background, because every person differs and a clinician who examines you may decide on something else.",
  "If anything here does not fit your situation, or you feel unsure, ring your practice or a health line and ask.",
  "These are rules of thumb for most adults; pregnancy, childhood, old age and long-term illness can all change the advice.",
];

const sentences = (points) => points.map((point) => point[0].toUpperCase() + point.slice(1) + ".");

/** Ways to give the points of `do` and `avoid`: as the answer itself, or (the last) after another facet. */
export const lists = {
  do: [
    (name, [a, b, c]) => `For ${name}, try the following: ${a}; ${b}; and ${c}.`,
    (name, [a, b, c]) => `Three things help with ${name}. First, ${a}. Second, ${b}. Third, ${c}.`,
    (name, points) =>
      `A short plan for ${name}:\n${sentences(points)
        .map((sentence, i) => `${i + 1}. ${sentence}`)
        .join("\n")}`,
    (name, [a, b, c]) => `What you can do yourself: ${a}; ${b}; ${c}.`,
  ],
  avoid: [
    (name, points) => `Some warnings about ${name}. ${sentences(points).join(" ")}`,
    (name, points) => `When it comes to ${name}, ${points.join(", and ")}.`,
    (name, points) => `Here is what to keep away from with ${name}: ${points.join("; ")}.`,
    (name, points) => `At the same time, ${points.join(", and ")}.`,
  ],
};

export const separator = " ";
