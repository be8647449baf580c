/** Lists of turns as every command reads them. Nothing is left out: a turn that other formats cannot express is refused. */
import { InputError } from "@medgpt/artifacts";
import { readTurns as readChatTurns, type ChatTurn } from "@medgpt/core/chat";

import type { Role, Turn } from "./example.js";
import { shown } from "./json.js";
import { RefusedRow } from "./refused-row.js";

/** A text is one turn of the role, an object one turn, and a list several. */
export function toTurns(value: unknown, role: Role, column: string): Turn[] {
  if (typeof value === "string") return [{ role, content: value }];
  return readTurns(Array.isArray(value) ? value : [value], column);
}

/** @throws RefusedRow for an element that is not a turn, has an unknown role, or holds more than a turn here can */
export function readTurns(value: unknown, column: string): Turn[] {
  const turns = refusing(() => readChatTurns(value, column));
  if (turns.length === 0) throw new RefusedRow(`${column}: expected turns, got none`);
  return turns.map(({ role, name, content, place, unread }: ChatTurn): Turn => {
    if (role === undefined) throw new RefusedRow(`${place}: unknown role ${shown(name)}`);
    if (unread.length > 0) throw new RefusedRow(`${place} has "${unread[0]}", which no other format can say`);
    return { role, content };
  });
}

/** What core refuses of a row, as the reason why the row is refused. */
export function refusing<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof InputError) throw new RefusedRow(error.message);
    throw error;
  }
}
