import { z } from "zod";
import { flag } from "./schema.js";

/** `threads`: as many as a machine may have; null leaves the number to the command. */
export function threadsFlag(help: string) {
  return flag(z.int().min(1).max(1024).nullable(), { default: null, help });
}
