import type { CommandGroup } from "@medgpt/core/config";

/** `medgpt data …` and `medgpt-data-medical …`: each verb is a command of its own, loaded when it is called for. */
export const command: CommandGroup = {
  name: "data",
  summary: "Fetch, convert and look through data sets.",
  commands: [
    {
      name: "convert",
      summary: "Convert data between the formats of text, instruction, preference and prompt data.",
      load: async () => (await import("./convert/command.js")).command,
    },
    {
      name: "list",
      summary: "List the data sets that can be pulled, with their licences.",
      load: async () => (await import("./list/command.js")).command,
    },
    {
      name: "pull",
      summary: "Download a data set that has a card, and convert it.",
      load: async () => (await import("./pull/command.js")).command,
    },
    {
      name: "stats",
      summary: "Say how many rows, turns, characters and tokens files have, and how long they are.",
      load: async () => (await import("./stats/command.js")).command,
    },
    {
      name: "mix",
      summary: "Mix data sets by weight, such as general data into medical data against forgetting.",
      load: async () => (await import("./mix/command.js")).command,
    },
    {
      name: "split",
      summary: "Divide rows into train, validation and test by a hash of their text.",
      load: async () => (await import("./split/command.js")).command,
    },
    {
      name: "dedup",
      summary: "Leave out rows that repeat an earlier one, exactly or nearly.",
      load: async () => (await import("./dedup/command.js")).command,
    },
    {
      name: "sample",
      summary: "Take some rows by chance.",
      load: async () => (await import("./sample/command.js")).command,
    },
    {
      name: "lint",
      summary: "Find what is wrong with rows, say where, and repair what can be.",
      load: async () => (await import("./lint/command.js")).command,
    },
  ],
};
