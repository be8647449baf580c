import { describe, expect, it } from "vitest";
import { InputError } from "./medgpt-error.js";

describe("InputError", () => {
  it("is one line, whatever it quotes", () => {
    const error = new InputError('got "a\nb\u001b[2J\u2028c"', { place: "/tmp/odd\nname" });
    expect(error.message).toBe('/tmp/odd\\u000aname: got "a\\u000ab\\u001b[2J\\u2028c"');
    expect(error.place).toBe("/tmp/odd\nname");
  });

  it("shows the beginning of what would fill the screen", () => {
    const error = new InputError(`got "${"x".repeat(1e6)}"`, { place: "config.json" });
    expect(error.message).toMatch(/^config.json: got "x{990,1000}…$/);
  });
});
