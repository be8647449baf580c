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
  ],
};
