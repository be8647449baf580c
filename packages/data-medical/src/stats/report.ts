/** The statistics as lines for a terminal and as an object for programs. */
import type { Bar, LengthHistogram } from "../length-histogram.js";
import type { FileStats } from "./file-stats.js";

const SUMMARY_COLUMNS = ["mean", "min", "p5", "p50", "p95", "p99", "max"] as const;

const BARS = 16;
const BAR_WIDTH = 40;

export const number = (value: number): string => value.toLocaleString("en-US", { maximumFractionDigits: 1 });
export const percent = (part: number, whole: number): string =>
  `${(whole === 0 ? 0 : (part / whole) * 100).toFixed(1)} %`;
export const range = ({ from, to }: Bar): string => (from >= to ? number(from) : `${number(from)}–${number(to)}`);

/** What is counted of each row; tokens only where there was a tokenizer. */
export function lengthsOf(stats: FileStats): [string, LengthHistogram][] {
  const all: [string, LengthHistogram][] = [
    ["turns", stats.turns],
    ["characters", stats.characters],
    ["tokens", stats.tokens],
  ];
  return all.filter(([, histogram]) => histogram.counts.size > 0);
}

/** "sharegpt", or each format with its number of rows. */
export function formatsOf({ formats }: FileStats): string {
  if (formats.size <= 1) return [...formats.keys()].join("");
  return [...formats].map(([format, count]) => `${number(count)} ${format}`).join(", ");
}

/** Lines of cells, the head first. */
export type Table = readonly (readonly string[])[];

export function lengthTable(stats: FileStats): Table {
  const rows = lengthsOf(stats).map(([name, histogram]) => {
    const summary = histogram.summary()!;
    return [name, ...SUMMARY_COLUMNS.map((key) => number(summary[key])), number(histogram.sum)];
  });
  return [["a row", ...SUMMARY_COLUMNS, "all"], ...rows];
}

export function roleTable({ roles, characters: { sum } }: FileStats): Table {
  const rows = [...roles].map(([role, { turns, characters }]) => [
    role,
    number(turns),
    number(characters),
    percent(characters, sum),
  ]);
  return [["role", "turns", "characters", "share"], ...rows];
}

export function reportLines(file: string, stats: FileStats): string[] {
  const lines = [`${file}: ${number(stats.rows)} rows: ${formatsOf(stats)}`];
  if (stats.rows === 0) return [`${file}: no rows`, ""];
  const total = stats.characters.sum;
  lines.push(
    ...aligned(lengthTable(stats)),
    "",
    ...aligned(roleTable(stats)),
    "",
    `  characters: ${percent(stats.scripts.han, total)} Han, ${percent(stats.scripts.letters, total)} letters`,
  );
  for (const [column, counts] of stats.labels) {
    if (counts === null) continue;
    const most = [...counts].sort(([, a], [, b]) => b - a);
    const shown = most.slice(0, 8).map(([value, count]) => `${value} ${percent(count, stats.rows)}`);
    lines.push(`  ${column}: ${shown.join(", ")}${most.length > 8 ? `, and ${most.length - 8} more` : ""}`);
  }
  // The size of a run is counted in tokens; without a tokenizer, in characters.
  const [name, histogram] = lengthsOf(stats).at(-1)!;
  lines.push("", `  ${name} a row`, ...drawn(histogram), "");
  return lines;
}

/** Bars from left to right, each with its range and share. */
function drawn(histogram: LengthHistogram): string[] {
  const bars = histogram.bars(BARS);
  const highest = Math.max(...bars.map(({ count }) => count));
  const total = bars.reduce((sum, { count }) => sum + count, 0);
  const width = Math.max(...bars.map((bar) => range(bar).length));
  return bars.map((bar) => {
    const drawn = "█".repeat(Math.round((bar.count / highest) * BAR_WIDTH)) || (bar.count > 0 ? "▏" : "");
    return `  ${range(bar).padStart(width)}  ${drawn}${drawn === "" ? "" : " "}${percent(bar.count, total)}`;
  });
}

/** Columns under each other: the first to the left, numbers to the right. */
function aligned(rows: Table): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map(
    (row) => "  " + row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
  );
}

/** The same numbers for programs. */
export function reportValue(stats: FileStats): object {
  return {
    rows: stats.rows,
    formats: Object.fromEntries(stats.formats),
    ...Object.fromEntries(lengthsOf(stats).map(([name, histogram]) => [name, histogram.summary()])),
    roles: Object.fromEntries(stats.roles),
    scripts: stats.scripts,
    labels: Object.fromEntries(
      [...stats.labels].map(([column, counts]) => [column, counts && Object.fromEntries(counts)]),
    ),
  };
}
