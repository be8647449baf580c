import { asChat, sharegptTurns, type Target } from "./target.js";

/** What `medgpt sft` reads. */
export const sharegpt: Target = {
  kind: "chat",
  columns: ["conversations", "tools"],
  write: (example) => {
    const { turns, tools } = asChat(example, "sharegpt");
    return { conversations: sharegptTurns(turns), ...(tools !== null && { tools }) };
  },
};
