import { afterAll, beforeAll, expect, it } from "vitest";
import { medgpt, type Toys } from "@medgpt/core/testing";
import { makeToys } from "./testing/toys.js";

let toys: Toys;
beforeAll(async () => {
  toys = await makeToys();
});
afterAll(() => toys.remove());

it.each([
  ["adapter", { use_peft: true }],
  ["model", { use_peft: false }],
])("the end of a run proposes to talk with the %s, which works", async (what, flags) => {
  const { code, stdout } = await toys.command(toys.argv(what, { ...flags, max_steps: 2 }));
  expect(code).toBe(0);
  const [, next] = new RegExp(`^the ${what} is in \\S+; to try next: npx medgpt (chat .*)$`, "m").exec(stdout)!;
  expect(next).toContain(toys.at(what));
  expect(await medgpt(next!.split(" "))).toMatchObject({ code: 0 });
});
