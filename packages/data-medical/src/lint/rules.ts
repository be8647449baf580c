import { duplicate } from "./rules/duplicate.js";
import { equalAnswers } from "./rules/equal-answers.js";
import { encoding } from "./rules/encoding.js";
import { json } from "./rules/json.js";
import { leakage } from "./rules/leakage.js";
import { missing } from "./rules/missing.js";
import { mixedScript } from "./rules/mixed-script.js";
import { mojibake } from "./rules/mojibake.js";
import { nearDuplicate } from "./rules/near-duplicate.js";
import { personalData } from "./rules/personal-data.js";
import { roleOrder } from "./rules/role-order.js";
import { specialToken } from "./rules/special-token.js";
import { template } from "./rules/template.js";
import { tooLong } from "./rules/too-long.js";
import { toolCalls } from "./rules/tool-calls.js";
import { truncated } from "./rules/truncated.js";
import { unknownRole } from "./rules/unknown-role.js";
import type { Rule } from "./rule.js";

/** Every rule, in the order in which a row is checked; rules that compare rows come last. */
export const RULES: readonly Rule[] = [
  encoding,
  json,
  missing,
  unknownRole,
  roleOrder,
  toolCalls,
  equalAnswers,
  mojibake,
  mixedScript,
  personalData,
  truncated,
  tooLong,
  specialToken,
  template,
  leakage,
  duplicate,
  nearDuplicate,
];
