/** The statistics as one page of HTML: no script, nothing from elsewhere, light or dark as the reader has it. */
import type { Bar, LengthHistogram } from "../length-histogram.js";
import type { FileStats } from "./file-stats.js";
import { formatsOf, lengthsOf, lengthTable, number, percent, range, roleTable, type Table } from "./report.js";

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --dim: #667080; --bar: #3f7cac; --line: #d9dee5; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --dim: #98a2b0; --bar: #6ba5d1; --line: #38414d; --paper: #171b21; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 0; overflow-wrap: anywhere; } h3 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
p { margin: .2rem 0; color: var(--dim); }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; } th { color: var(--dim); font-weight: 500; }
svg { display: block; width: 100%; height: auto; } rect { fill: var(--bar); } text { fill: var(--dim); font-size: 11px; }
`;

/** @param files the counts of each file, by its name */
export function statsPage(title: string, files: ReadonlyMap<string, FileStats>): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escape(title)}</h1>
${[...files].map(([file, stats]) => section(file, stats)).join("\n")}
</body>
</html>
`;
}

function section(file: string, stats: FileStats): string {
  const total = stats.characters.sum;
  const parts = [
    `<h2>${escape(file)}</h2>`,
    `<p>${number(stats.rows)} rows: ${escape(formatsOf(stats))}</p>`,
    table(lengthTable(stats)),
    table(roleTable(stats)),
    `<p>Characters: ${percent(stats.scripts.han, total)} Han, ${percent(stats.scripts.letters, total)} letters.</p>`,
    ...lengthsOf(stats).map(([name, histogram]) => `<h3>${name} a row</h3>\n${chart(name, histogram)}`),
  ];
  for (const [column, counts] of stats.labels) {
    if (counts === null) continue;
    const rows = [...counts].sort(([, a], [, b]) => b - a).map(([value, count]) => [value, number(count)]);
    parts.push(table([[column, "rows"], ...rows]));
  }
  return parts.join("\n");
}

function table([head, ...rows]: Table): string {
  const line = (cells: readonly string[] = [], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join("")}</tr>`;
  return `<table>\n${[line(head, "th"), ...rows.map((row) => line(row, "td"))].join("\n")}\n</table>`;
}

const WIDTH = 900;
const HEIGHT = 160;

/** Columns over their range of lengths; each says its numbers when pointed at. */
function chart(name: string, histogram: LengthHistogram): string {
  const bars = histogram.bars(40);
  const highest = Math.max(...bars.map(({ count }) => count));
  const step = Math.min(60, WIDTH / bars.length); // one length alone does not fill the page
  const every = Math.ceil(bars.length / 10);
  const column = (bar: Bar, i: number): string => {
    const height = (bar.count / highest) * HEIGHT;
    const x = (i * step).toFixed(1);
    const title = `<title>${range(bar)} ${name}: ${number(bar.count)} rows</title>`;
    const mark = i % every === 0 ? `<text x="${x}" y="${HEIGHT + 15}">${number(bar.from)}</text>` : "";
    return `<rect x="${x}" y="${(HEIGHT - height).toFixed(1)}" width="${(step * 0.9).toFixed(1)}" height="${height.toFixed(1)}">${title}</rect>${mark}`;
  };
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT + 20}" role="img" aria-label="${name} a row">${bars.map(column).join("")}</svg>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
