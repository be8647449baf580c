import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { JinjaTemplate, StepsError } from "./render.js";

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

  // What goes on and on in one statement, expression, filter, method, comparison or value that is printed.
  it.each([
    "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
    "{% for a in range(1000) if range(1000)|select('odd')|list %}{% endfor %}",
    "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l }}",
    "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l|tojson }}",
    "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = n.l + n.l %}{% endfor %}",
    "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l == n.l[:] }}",
    "{{ range(2000)|unique|list }}",
    "{{ [1] * 1000000 }}",
    "{{ ('a' * 400000).count('a' * 1000) }}",
    "{% set s = 'a' * 400000 %}{% for i in range(1000) %}{% set t = s.upper() %}{% endfor %}",
    "{% set s = 'a' * 400000 %}{% for i in range(1000) %}{{ s|length }}{% endfor %}",
    "{% macro f(n) %}{% for i in range(10) %}{{ f(n - 1) if n }}{% endfor %}{% endmacro %}{{ f(20) }}",
  ])("ends %s after as many steps as it may take", (template) => {
    expect(() => new JinjaTemplate(template).render({}, 100_000)).toThrow(StepsError);
    expect(() => new JinjaTemplate(template).render({}, 100_000)).toThrow("it takes more than 100000 steps");
  });

  it.each([
    ["{{ 'a' * 100000000 }}", "the text becomes too long"],
    ["{% set s = 'a' * 20000 %}{{ s.replace('a', s) }}", "the text becomes too long"],
    ["{{ ((['a'] * 20000)|join('b' * 20000)) }}", "the text becomes too long"],
    ["{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "it goes too deep"],
  ])("refuses %s, which takes too much", (template, message) => {
    expect(() => new JinjaTemplate(template).render({})).toThrow(message);
  });

  it("refuses brackets without end", () => {
    const [open, close] = ["(".repeat(50_000), ")".repeat(50_000)];
    expect(() => new JinjaTemplate(`{{ ${open}1${close} }}`)).toThrow("it goes too deep");
  });

  // Were a blank or a digit looked at again for each after it, these would take minutes.
  it.each([
    ["blanks", `${" ".repeat(300_000)}x{% if true %}y{% endif %}`],
    ["digits", "{{ ('1' * 300000 ~ 'x')|int }}"],
    ["zeros of a format", `{{ '%${"0".repeat(300_000)}s' % 1 if false }}`],
  ])("reads %s once", (_, template) => {
    const start = performance.now();
    new JinjaTemplate(template).render({});
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it.each([
    ["{{ [1]|groupby('a') }}", 'there is no filter "groupby"'],
    ["{{ 'a'.format(1) }}", '"format" is undefined'],
    ["{% block a %}{% endblock %}", "line 1: the statement block is not supported"],
  ])("refuses %s, which it does not have", (template, message) => {
    expect(() => new JinjaTemplate(template).render({})).toThrow(message);
  });
});
