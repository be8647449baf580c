/**
 * How tools, calls of them and what they return are written into a conversation: the formats that MedicalGPT has by name
 * (--tool_format), which come from LLaMA-Factory. JSON is spelt as Python spells it.
 */
import { listElements, pythonJson, valueOf } from "./python-json.js";

export interface FunctionCall {
  readonly name: string;
  /** As JSON. */
  readonly arguments: string;
}

export interface ToolFormat {
  /** The part of the system prompt that describes the tools. @param tools a JSON list */
  describe(tools: string): string;
  /** @throws RangeError where the format has no way to write several calls at once */
  call(calls: readonly FunctionCall[]): string;
  /** The calls in an answer, as `call` wrote them; the answer itself where it has none. */
  extract(answer: string): string | FunctionCall[];
  /** What a tool gave, as the next question. */
  observation(value: string): string;
}

interface Tool {
  readonly name: string;
  readonly description?: string;
  readonly parameters?: {
    readonly properties?: Readonly<Record<string, Parameter>>;
    readonly required?: readonly string[];
  };
}
interface Parameter {
  readonly type?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly items?: { readonly type?: string };
}

const observation = (value: string): string => `Observation: ${value}`;
const asFunction = (tool: string): string => `{"type": "function", "function": ${tool}}`;

const DEFAULT: ToolFormat = {
  describe(tools) {
    // What a table fills in with null is not there.
    const parsed = JSON.parse(tools, (_, value: unknown) => value ?? undefined) as Tool[];
    const texts = parsed.map(({ name, description = "", parameters: { properties = {}, required = [] } = {} }) => {
      const lines = Object.entries(properties).map(([key, parameter]) => {
        const { type = "", description: text = "", enum: values = [], items } = parameter;
        const must = required.includes(key) ? ", required" : "";
        const one = values.length > 0 ? `, should be one of [${values.join(", ")}]` : "";
        const each = items !== undefined ? `, where each item should be ${items.type ?? ""}` : "";
        return `  - ${key} (${type}${must}): ${text}${one}${each}\n`;
      });
      return `> Tool Name: ${name}\nTool Description: ${description}\nTool Args:\n${lines.join("")}\n`;
    });
    const names = parsed.map(({ name }) => name).join(", ");
    return `You have access to the following tools:\n${texts.join("")}Use the following format if using a tool:\n\`\`\`\nAction: tool name (one of [${names}])\nAction Input: the input to the tool, in a JSON format representing the kwargs (e.g. \`\`\`{"input": "hello world", "num_beams": 5}\`\`\`)\n\`\`\`\n`;
  },
  call: (calls) => calls.map(({ name, arguments: input }) => `Action: ${name}\nAction Input: ${input}\n`).join(""),
  extract(answer) {
    const found = [...answer.matchAll(/Action:\s*([a-zA-Z0-9_]+)\s*Action Input:\s*(.+?)(?=\s*Action:|\s*$)/gs)];
    const texts = found.map(([, , input = ""]) =>
      input
        .trim()
        .replace(/^"+|"+$/g, "")
        .replace(/^`+|`+$/g, ""),
    );
    if (found.length === 0 || !texts.every(isJson)) return answer;
    return found.map(([, name = ""], index) => ({ name, arguments: pythonJson(texts[index]!) }));
  },
  observation,
};

const GLM4: ToolFormat = {
  describe(tools) {
    const texts = listElements(tools).map((tool) => {
      const { name } = JSON.parse(tool) as Tool;
      return `\n\n## ${name}\n\n${pythonJson(tool, 4)}\n在调用上述函数时，请使用 Json 格式表示调用的参数。`;
    });
    return `你是一个名为 ChatGLM 的人工智能助手。你是基于智谱AI训练的语言模型 GLM-4 模型开发的，你的任务是针对用户的问题和要求提供适当的答复和支持。# 可用工具${texts.join("")}`;
  },
  call: (calls) => {
    const { name, arguments: input } = onlyOne(calls, "GLM-4");
    return `${name}\n${input}`;
  },
  extract(answer) {
    const end = answer.indexOf("\n");
    const input = answer.slice(end + 1).trim();
    return end === -1 || !isJson(input) ? answer : [{ name: answer.slice(0, end), arguments: pythonJson(input) }];
  },
  observation: (value) => `<|observation|>\n${value}`,
};

const LLAMA3: ToolFormat = {
  // The date is the one that Llama 3's own chat template writes unless told another, so that rows do not change overnight.
  describe(tools) {
    const texts = listElements(tools).map((tool) => `${pythonJson(asFunction(tool), 4)}\n\n`);
    return `Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\nYou have access to the following functions. To call a function, please respond with JSON for a function call. Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}. Do not use variables.\n\n${texts.join("")}`;
  },
  call: (calls) => {
    const { name, arguments: input } = onlyOne(calls, "Llama-3");
    return `{"name": "${name}", "parameters": ${input}}`;
  },
  extract: (answer) => (isJson(answer) ? callsIn([answer.trim()], "parameters") : undefined) ?? answer,
  observation,
};

const MISTRAL: ToolFormat = {
  describe(tools) {
    const texts = listElements(tools).map((tool) => pythonJson(asFunction(tool)));
    return `[AVAILABLE_TOOLS] [${texts.join(", ")}][/AVAILABLE_TOOLS]`;
  },
  call: (calls) => `[${calls.map(asObject).join(", ")}]`,
  extract(answer) {
    if (!isJson(answer)) return answer;
    const text = answer.trim();
    return callsIn(text.startsWith("[") ? listElements(text) : [text], "arguments") ?? answer;
  },
  observation: (value) => `[TOOL_RESULTS] {"content": ${value}}[/TOOL_RESULTS]`,
};

const QWEN: ToolFormat = {
  describe(tools) {
    const texts = listElements(tools).map((tool) => `\n${pythonJson(asFunction(tool))}`);
    return `\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>${texts.join("")}\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>`;
  },
  call: (calls) => calls.map((call) => `<tool_call>\n${asObject(call)}\n</tool_call>`).join("\n"),
  extract(answer) {
    const found = [...answer.matchAll(/<tool_call>(.+?)<\/tool_call>(?=\s*<tool_call>|\s*$)/gs)];
    const texts = found.map(([, text = ""]) => text.trim());
    return (found.length > 0 && texts.every(isJson) ? callsIn(texts, "arguments") : undefined) ?? answer;
  },
  observation: (value) => `<tool_response>\n${value}\n</tool_response>`,
};

export const TOOL_FORMATS = {
  default: DEFAULT,
  glm4: GLM4,
  llama3: LLAMA3,
  mistral: MISTRAL,
  qwen: QWEN,
  qwen3: QWEN,
  "qwen3.5": QWEN,
} as const satisfies Record<string, ToolFormat>;

export type ToolFormatName = keyof typeof TOOL_FORMATS;

/** What tools give, and calls of them, where no format is chosen. */
export const NO_TOOL_FORMAT: Pick<ToolFormat, "call" | "observation"> = {
  call: (calls) => calls.map(({ name, arguments: input }) => `Action: ${name}\nAction Input: ${input}`).join("\n"),
  observation,
};

function asObject({ name, arguments: input }: FunctionCall): string {
  return `{"name": "${name}", "arguments": ${input}}`;
}

function onlyOne(calls: readonly FunctionCall[], format: string): FunctionCall {
  if (calls.length !== 1) throw new RangeError(`${format} does not support parallel functions.`);
  return calls[0]!;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Calls from the texts of objects with a name and arguments under `key`; undefined if one of them is not a call. */
function callsIn(texts: readonly string[], key: string): FunctionCall[] | undefined {
  const calls = texts.map((text): FunctionCall | undefined => {
    const value = JSON.parse(text) as Record<string, unknown> | null;
    if (typeof value !== "object" || value === null || !("name" in value) || !(key in value)) return undefined;
    const field = valueOf(text, key);
    return { name: String(value["name"]), arguments: pythonJson(field) };
  });
  return calls.every((call) => call !== undefined) ? calls : undefined;
}
