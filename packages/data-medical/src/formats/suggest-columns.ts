/** What a column of another name probably is: for people who are told how to name their columns. */

const NAMES: Readonly<Record<string, readonly string[]>> = {
  question: ["问题", "提问", "问", "questions", "q", "ask"],
  answer: ["回答", "答案", "答复", "答", "answers", "a", "reply"],
  instruction: ["指令", "instructions"],
  input: ["输入", "inputs"],
  output: ["输出", "outputs"],
  prompt: ["提示", "提示词", "prompts"],
  completion: ["补全", "completions"],
  response: ["回复", "responses"],
  text: ["文本", "内容", "正文", "texts", "content"],
  system: ["系统", "系统提示", "系统提示词"],
  history: ["历史", "历史对话"],
  conversations: ["对话", "会话"],
  messages: ["消息"],
  chosen: ["优选", "更好的回答"],
  rejected: ["拒绝", "更差的回答"],
};

const MEANT: ReadonlyMap<string, string> = new Map(
  Object.entries(NAMES).flatMap(([name, others]) => [name, ...others].map((other) => [other, name])),
);

/** The name that a column should have; its own where that says nothing. */
export function columnMeant(name: string): string {
  return MEANT.get(name.trim().toLowerCase()) ?? name;
}
