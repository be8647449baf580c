import { describe, expect, it } from "vitest";

import { nearestName } from "./nearest-name.js";

const names = ["learning_rate", "lora_rank", "lora_alpha", "do_eval", "do_train", "seed"];

describe("nearestName", () => {
  it.each([
    ["learningRte", "learning_rate"],
    ["lora_rnak", "lora_rank"],
    ["lora_alhpa", "lora_alpha"],
    ["do_evl", "do_eval"],
    ["dotrain", "do_train"],
    ["SEED", "seed"],
    ["sede", "seed"],
  ])("takes %s for %s", (name, expected) => {
    expect(nearestName(name, names)).toBe(expected);
  });

  it.each(["xyzzy", "q", "batch_size"])("finds nothing near %s", (name) => {
    expect(nearestName(name, [...names, "block_size"])).toBeUndefined();
  });
});
