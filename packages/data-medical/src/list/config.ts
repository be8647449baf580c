import { commandFlags } from "@medgpt/core/config";
import { z } from "zod";

export const listSchema = z.strictObject({ ...commandFlags });
