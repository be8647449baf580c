import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { JinjaTemplate } from "./render.js";

/** What transformers renders of each, without variables; null where it raises (tools/parity/full_jinja.py makes them again). */
const cases = JSON.parse(readFileSync(new URL("rendered.json", import.meta.url), "utf8")) as {
  template: string;
  rendered: string | null;
}[];

describe("JinjaTemplate", () => {
  it.each(cases)("renders $template", ({ template, rendered }) => {
    const render = () => new JinjaTemplate(template).render({}).text;
    if (rendered === null) expect(render).toThrow();
    else expect(render()).toBe(rendered);
  });

  it.each([
    ["{{ [1]|groupby('a') }}", 'there is no filter "groupby"'],
    ["{{ 'a'.format(1) }}", '"format" is undefined'],
    ["{% block a %}{% endblock %}", "line 1: the statement block is not supported"],
  ])("refuses %s, which it does not have", (template, message) => {
    expect(() => new JinjaTemplate(template).render({})).toThrow(message);
  });
});
