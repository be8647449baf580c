/**
 * What a run looks like from outside: a bar redrawn in place on a terminal, plain lines on a pipe, or one JSON object a
 * line. No colour and no escape sequences anywhere: the bar is redrawn with carriage returns and blanks.
 */
import { bytes, count, duration } from "./figures.js";
import type { RunEvent } from "./run-context.js";

export interface Reporter {
  readonly report: (event: RunEvent) => void;
  /** Takes the bar away. */
  close(): void;
}

/** What is used of a stream that text is written to, such as process.stdout. */
export interface TextStream {
  write(text: string): unknown;
  /** Characters a line of a terminal holds. */
  readonly columns?: number | undefined;
  readonly isTTY?: boolean;
}

export interface ReporterOptions {
  /** Write every event but throttled progress as JSON to `stream`, messages too. */
  json: boolean;
  stream: TextStream;
  /** Where messages go when `json` is off. */
  errorStream: TextStream;
  isTTY: boolean;
}

type StepEvent = Extract<RunEvent, { type: "step" }>;
type ProgressEvent = Extract<RunEvent, { type: "progress" }>;

/** Milliseconds between two shows of the same task's progress. */
const PROGRESS_INTERVAL = { bar: 100, lines: 10_000, json: 1_000 };

/** The reporter of one run; by default that of the command line. Its `report` is the `log` of a RunContext. */
export function createReporter({
  json = false,
  stream = process.stdout,
  errorStream = process.stderr,
  isTTY = stream.isTTY === true,
}: Partial<ReporterOptions> = {}): Reporter {
  const style = json ? "json" : isTTY ? "bar" : "lines";
  let bar = "";
  let lastBar = 0;
  let progress = { task: "", since: 0 };

  const erase = (): void => {
    if (bar !== "") stream.write(`\r${" ".repeat(bar.length)}\r`);
    bar = "";
  };
  const draw = (text: string): void => {
    erase();
    bar = text;
    stream.write(text);
  };
  /** A line that stays, above the bar. */
  const print = (line: string, to: TextStream = stream): void => {
    const shown = bar;
    erase();
    to.write(`${line}\n`);
    if (shown !== "") draw(shown);
  };

  /** Whether this progress event is shown: the task's last one, and others at intervals. */
  const isDue = (event: ProgressEvent): boolean => {
    const now = Date.now();
    if (event.done >= event.total) {
      progress = { task: "", since: 0 };
      return true;
    }
    // The first interval starts with the task, so that a short task on a pipe is one line.
    if (event.task !== progress.task) {
      progress = { task: event.task, since: now };
      return style === "bar";
    }
    if (now - progress.since < PROGRESS_INTERVAL[style]) return false;
    progress.since = now;
    return true;
  };

  const report = (event: RunEvent): void => {
    if (style === "json") {
      const shown = event.type === "answer" ? event.value : event;
      if (event.type !== "progress" || isDue(event)) stream.write(`${JSON.stringify(shown)}\n`);
      return;
    }
    switch (event.type) {
      case "message":
        print(event.level === "warn" ? `warning: ${event.text}` : event.text, errorStream);
        break;
      case "progress":
        if (!isDue(event)) break;
        if (style === "lines") print(progressLine(event));
        else if (event.done >= event.total) erase();
        else draw(progressBar(event, stream.columns));
        break;
      case "step":
        if (event.logged) print(stepLine(event));
        if (style === "bar" && (event.step >= event.totalSteps || Date.now() - lastBar >= PROGRESS_INTERVAL.bar)) {
          lastBar = Date.now();
          draw(stepBar(event, stream.columns));
        }
        break;
      case "eval":
        print([`eval at step ${event.step}`, ...metrics(event.metrics)].join("  "));
        break;
      case "saved":
        print(`saved ${event.what} in ${event.path}`);
        break;
      case "summary":
        erase();
        print(summaryLine(event));
        print(`the ${event.what} is in ${event.path}; to try next: ${event.next}`);
        break;
      case "answer":
        event.lines.forEach((line) => print(line));
        break;
    }
  };
  return { report, close: erase };
}

function stepLine(event: StepEvent): string {
  return [
    `step ${count(event.step)}/${count(event.totalSteps)}`,
    `loss ${event.loss.toFixed(4)}`,
    `grad_norm ${event.gradNorm.toPrecision(3)}`,
    `lr ${rate(event.learningRate)}`,
    `epoch ${event.epoch.toFixed(2)}`,
    ...speed(event),
  ].join("  ");
}

function summaryLine(event: Extract<RunEvent, { type: "summary" }>): string {
  return [
    `done: ${count(event.steps)} ${event.steps === 1 ? "step" : "steps"} in ${duration(event.seconds)}`,
    `loss ${event.firstLoss.toFixed(4)} at first, ${event.lastLoss.toFixed(4)} at last`,
    `${count(Math.round(event.tokensPerSecond))} tokens/s`,
    `peak memory ${bytes(event.peakMemoryBytes)}`,
  ].join("; ");
}

function stepBar(event: StepEvent, columns: number | undefined): string {
  const [tokens, memory, left] = speed(event);
  return fitted(
    event.step / event.totalSteps,
    [
      `${count(event.step)}/${count(event.totalSteps)}`,
      `loss ${event.loss.toFixed(4)}`,
      ...(left === undefined ? [] : [left]),
      tokens,
      `lr ${rate(event.learningRate)}`,
      memory,
    ],
    columns,
  );
}

/** A bar with `parts`, the most important first: as many of them as fit. */
function fitted(fraction: number, parts: readonly string[], columns = 80): string {
  // A character in the last column would wrap the line on some terminals.
  const width = columns - 1;
  const percent = `${Math.floor(fraction * 100)}%`.padStart(4);
  const kept = [...parts];
  const text = (): string => [percent, ...kept].join("  ");
  // The parts after the third give way to a bar of ten; the others are worth more than it.
  while (kept.length > 1 && text().length > width - (kept.length > 3 ? 13 : 0)) kept.pop();
  const room = Math.min(24, width - text().length - 3);
  if (room < 5) return text().slice(0, width);
  const full = Math.round(fraction * room);
  return `[${"#".repeat(full)}${".".repeat(room - full)}] ${text()}`;
}

/** Tokens a second, memory and, where it is known, the time left. */
function speed(event: StepEvent): [string, string, ...string[]] {
  return [
    `${count(Math.round(event.tokensPerSecond))} tokens/s`,
    bytes(event.memoryBytes),
    ...(Number.isFinite(event.secondsLeft) ? [`${duration(event.secondsLeft)} left`] : []),
  ];
}

function progressLine(event: ProgressEvent): string {
  return `${event.task}  ${count(event.done)}/${count(event.total)} ${event.unit}`;
}

function progressBar(event: ProgressEvent, columns: number | undefined): string {
  return fitted(event.done / event.total, [progressLine(event)], columns);
}

function metrics(values: Readonly<Record<string, number>>): string[] {
  return Object.entries(values).map(
    ([name, value]) => `${name} ${Number.isInteger(value) ? count(value) : value.toFixed(4)}`,
  );
}

function rate(value: number): string {
  return value === 0 ? "0" : value.toExponential(1);
}
