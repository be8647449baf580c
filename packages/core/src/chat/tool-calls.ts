/** Calls of tools, and the tools that may be called, as the JSON texts in which training reads them. */
import { InputError } from "@medgpt/artifacts";
import { describeJson, isJsonObject } from "../json/read-json-object.js";
import { stringifyJson } from "../json/exact-json.js";
import type { FunctionCall } from "./tool-formats.js";
import { fieldsOf, listElements, valueOf } from "./python-json.js";

/** OpenAI's tool_calls, whose arguments are JSON in a string or an object, as ShareGPT's function_call has them. */
export function callsText(calls: readonly unknown[], place: string): string {
  const texts = calls.map((one) => {
    const call = isJsonObject(one) ? (one["function"] ?? one) : undefined;
    if (!isJsonObject(call) || typeof call["name"] !== "string")
      throw new InputError(`expected {"function": {"name", "arguments"}}, got ${describeJson(one)}`, { place });
    return callText(call["name"], argumentsText(stringifyJson(call["arguments"] ?? null), place));
  });
  return texts.length === 1 ? texts[0]! : `[${texts.join(",")}]`;
}

/**
 * The text of a turn that calls tools. Calls are left as they are spelt, but for arguments that are JSON in a string, null
 * or not there.
 * @throws InputError if the text is not JSON, or arguments are not an object
 */
export function toolCallText(text: string, place: string): string {
  const value = parse(text, place);
  const texts = Array.isArray(value) ? listElements(text) : [text];
  const calls = texts.map((one) => {
    const call = JSON.parse(one) as unknown;
    if (!isJsonObject(call) || typeof call["name"] !== "string") return one;
    const given = "arguments" in call ? valueOf(one, "arguments") : "null";
    const input = argumentsText(given, place);
    return input === given ? one : callText(call["name"], input);
  });
  if (calls.every((call, index) => call === texts[index])) return text;
  return Array.isArray(value) ? `[${calls.join(", ")}]` : calls[0]!;
}

/** The calls of a turn that calls tools, with the spelling of their arguments kept; undefined for any other text. */
export function readCalls(text: string): FunctionCall[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const calls = (Array.isArray(value) ? listElements(text) : [text]).map((one) => {
    const call: unknown = JSON.parse(one);
    if (!isJsonObject(call) || !("name" in call) || !("arguments" in call)) return undefined;
    return { name: String(call["name"]), arguments: valueOf(one, "arguments") };
  });
  return calls.every((one) => one !== undefined) ? calls : undefined;
}

function callText(name: string, input: string): string {
  return `{"name":${JSON.stringify(name)},"arguments":${input}}`;
}

/**
 * Arguments as a JSON object.
 * @param text JSON: the object, or a string of it; null, also in a string, stands for no arguments
 */
function argumentsText(text: string, place: string): string {
  const value: unknown = JSON.parse(text);
  if (value === null) return "{}";
  if (typeof value === "string") {
    const inner = parse(value, place);
    if (inner === null) return "{}";
    if (isJsonObject(inner)) return value.trim();
  }
  if (isJsonObject(value)) return text;
  throw new InputError(`expected arguments that are a JSON object, got ${describeJson(value)}`, { place });
}

/**
 * The tools of a row as the text of a JSON list; undefined where it has none.
 * @param tools such a text, or the list itself
 * @throws InputError for anything else
 */
export function toolsText(tools: unknown, place: string): string | undefined {
  if (tools === undefined || tools === null || tools === "") return undefined;
  const text = typeof tools === "string" ? tools : stringifyJson(withoutNulls(tools));
  const list = parse(text, place);
  if (!Array.isArray(list) || !list.every(isJsonObject))
    throw new InputError(`expected a JSON list of tools, got ${describeJson(list)}`, { place });
  return list.length === 0 ? undefined : text;
}

/** Keys of JSON schemas under which null means something. */
const MAY_BE_NULL: ReadonlySet<string> = new Set(["default", "const"]);

/** Without the nulls that a table has for keys that other rows' tools have. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const fields = Object.entries(value).filter(([key, field]) => field !== null || MAY_BE_NULL.has(key));
  return Object.fromEntries(fields.map(([key, field]) => [key, MAY_BE_NULL.has(key) ? field : withoutNulls(field)]));
}

/**
 * Calls without arguments that are null and that their tool does not declare: a table that holds calls of several tools
 * fills in the names of all of them.
 * @param calls as a turn has them
 * @param tools as `toolsText` gives them
 * @returns `calls` itself where there is none
 */
export function withoutFilledNulls(calls: string, tools: string | undefined): string {
  if (tools === undefined || !calls.includes("null")) return calls;
  const schemas = new Map<unknown, unknown>();
  for (const tool of JSON.parse(tools) as Record<string, unknown>[]) {
    const own = isJsonObject(tool["function"]) ? tool["function"] : tool;
    schemas.set(own["name"], own["parameters"]);
  }
  const isList = calls.trimStart().startsWith("[");
  const texts = isList ? listElements(calls) : [calls];
  const cleaned = texts.map((text) => {
    const call = JSON.parse(text) as unknown;
    if (!isJsonObject(call) || typeof call["name"] !== "string" || !isJsonObject(call["arguments"])) return text;
    const given = valueOf(text, "arguments");
    const input = declaredOf(given, schemas.get(call["name"]));
    return input === given ? text : callText(call["name"], input);
  });
  if (cleaned.every((text, index) => text === texts[index])) return calls;
  return isList ? `[${cleaned.join(", ")}]` : cleaned[0]!;
}

/** A JSON value without the null fields that its schema does not declare. */
function declaredOf(text: string, schema: unknown): string {
  if (!isJsonObject(schema)) return text;
  if (text.startsWith("[")) {
    const items = listElements(text);
    const kept = items.map((item) => declaredOf(item, schema["items"]));
    return kept.every((item, index) => item === items[index]) ? text : `[${kept.join(", ")}]`;
  }
  const { properties, additionalProperties } = schema;
  if (!text.startsWith("{") || !isJsonObject(properties)) return text;
  const others = additionalProperties !== undefined && additionalProperties !== null && additionalProperties !== false;
  const isDeclared = (key: string): boolean => Object.hasOwn(properties, key) && properties[key] !== null;
  const fields = fieldsOf(text);
  const kept = fields
    .filter(([key, value]) => value !== "null" || others || isDeclared(key))
    .map(([key, value]) => [key, isDeclared(key) ? declaredOf(value, properties[key]) : value] as const);
  if (kept.length === fields.length && kept.every(([, value], index) => value === fields[index]![1])) return text;
  return `{${kept.map(([key, value]) => `${JSON.stringify(key)}: ${value}`).join(", ")}}`;
}

function parse(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError(`expected JSON, got ${describeJson(text)} (${(cause as Error).message})`, { place, cause });
  }
}
