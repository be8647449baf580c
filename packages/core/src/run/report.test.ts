import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { createReporter } from "./report.js";
import type { RunEvent } from "./run-context.js";

/** A stream that keeps what is written; `screen()` plays carriage returns as a terminal would. */
function fakeStream(columns?: number) {
  const written: string[] = [];
  const screen = (): string[] =>
    written
      .join("")
      .split("\n")
      .map((line) => {
        let shown: string[] = [];
        for (const part of line.split("\r")) shown = [...part, ...shown.slice(part.length)];
        return shown.join("").trimEnd();
      });
  return {
    stream: { columns, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream,
    written,
    screen,
  };
}

function reporterOn(kind: "lines" | "bar" | "json", columns?: number) {
  const out = fakeStream(columns);
  const err = fakeStream();
  const reporter = createReporter({
    json: kind === "json",
    stream: out.stream,
    errorStream: err.stream,
    isTTY: kind === "bar",
  });
  return { ...reporter, out, err };
}

const step = (changes: Partial<Extract<RunEvent, { type: "step" }>> = {}): RunEvent => ({
  type: "step",
  step: 10,
  totalSteps: 120,
  epoch: 0.0417,
  loss: 2.34121,
  gradNorm: 0.51234,
  learningRate: 2e-4,
  tokensPerSecond: 1203.4,
  seconds: 1.6,
  memoryBytes: 1.2 * 2 ** 30,
  secondsLeft: 192.4,
  logged: true,
  ...changes,
});
const progress = (done: number, task = "tokenising"): RunEvent => ({
  type: "progress",
  task,
  done,
  total: 4000,
  unit: "lines",
});

beforeEach(() => {
  vi.useFakeTimers({ now: 1e12 });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a reporter on a pipe", () => {
  it("prints logged steps as plain lines and no others", () => {
    const { report, out } = reporterOn("lines");
    report(step());
    report(step({ step: 11, logged: false }));
    report(step({ step: 12, learningRate: 0, memoryBytes: 300 * 2 ** 20, secondsLeft: Number.NaN }));
    expect(out.written).toEqual([
      "step 10/120  loss 2.3412  grad_norm 0.512  lr 2.0e-4  epoch 0.04  1,203 tokens/s  1.2 GiB  3m12s left\n",
      "step 12/120  loss 2.3412  grad_norm 0.512  lr 0  epoch 0.04  1,203 tokens/s  300 MiB\n",
    ]);
  });

  it("prints evaluations and what was saved, and messages on the other stream", () => {
    const { report, out, err } = reporterOn("lines");
    report({ type: "eval", step: 50, metrics: { eval_loss: 2.5, eval_samples: 1200, perplexity: 12.182494 } });
    report({ type: "saved", path: "out/checkpoint-50", what: "a checkpoint" });
    report({ type: "message", level: "info", text: "backend native" });
    report({ type: "message", level: "warn", text: "one short block" });
    expect(out.written).toEqual([
      "eval at step 50  eval_loss 2.5000  eval_samples 1,200  perplexity 12.1825\n",
      "saved a checkpoint in out/checkpoint-50\n",
    ]);
    expect(err.written).toEqual(["backend native\n", "warning: one short block\n"]);
  });

  it("prints progress every ten seconds and at the end", () => {
    const { report, out } = reporterOn("lines");
    for (let done = 500; done <= 4000; done += 500) {
      report(progress(done));
      vi.advanceTimersByTime(4000);
    }
    expect(out.written).toEqual([
      "tokenising  2,000/4,000 lines\n",
      "tokenising  3,500/4,000 lines\n",
      "tokenising  4,000/4,000 lines\n",
    ]);
  });

  it("ends with what came of the run and the command to try", () => {
    const { report, out } = reporterOn("lines");
    const summary = {
      type: "summary",
      steps: 20,
      seconds: 62,
      firstLoss: 3.12,
      lastLoss: 2.5,
      what: "adapter",
    } as const;
    const next = "npx medgpt chat --model_name_or_path m --adapter out";
    report({ ...summary, tokensPerSecond: 1234.4, peakMemoryBytes: 1.25 * 2 ** 30, path: "out", next });
    expect(out.written).toEqual([
      "done: 20 steps in 1m02s; loss 3.1200 at first, 2.5000 at last; 1,234 tokens/s; peak memory 1.3 GiB\n",
      `the adapter is in out; to try next: ${next}\n`,
    ]);
  });

  it("prints a short task as one line", () => {
    const { report, out } = reporterOn("lines");
    for (let done = 0; done <= 4000; done += 100) report(progress(done));
    expect(out.written).toEqual(["tokenising  4,000/4,000 lines\n"]);
  });

  it.each([
    [45.2, "45s left"],
    [59.7, "1m00s left"],
    [192, "3m12s left"],
    [3599.8, "1h00m left"],
    [7380, "2h03m left"],
  ])("shows %d seconds as %s", (secondsLeft, text) => {
    const { report, out } = reporterOn("lines");
    report(step({ secondsLeft }));
    expect(out.written[0]).toMatch(new RegExp(`  ${text}\n$`));
  });
});

describe("a reporter on a terminal", () => {
  it("redraws one bar under the logged lines, without escape sequences", () => {
    const { report, close, out } = reporterOn("bar", 100);
    for (let number = 1; number <= 120; number++) {
      report(step({ step: number, logged: number % 60 === 0 }));
      vi.advanceTimersByTime(1000);
    }
    expect(out.written.join("")).not.toContain("\u001b");
    const [first, second, bar, ...rest] = out.screen();
    expect(first).toMatch(/^step 60\/120 {2}loss/);
    expect(second).toMatch(/^step 120\/120 {2}loss/);
    expect(bar).toMatch(/^\[#{5,24}\] 100% {2}120\/120 {2}loss 2\.3412 {2}3m12s left {2}1,203 tokens\/s/);
    expect(rest).toEqual([]);
    close();
    expect(out.screen().at(-1)).toBe("");
  });

  it.each([20, 30, 40, 60, 80, 200])("fits %i columns", (columns) => {
    const { report, out } = reporterOn("bar", columns);
    report(step({ logged: false }));
    const [bar] = out.screen();
    expect(bar!.length).toBeLessThan(columns);
    expect(bar).toContain("8%  10/120");
  });

  it("draws at most ten times a second, and always the last step", () => {
    const { report, out } = reporterOn("bar", 80);
    for (let number = 1; number <= 120; number++) report(step({ step: number, logged: false }));
    expect(out.written.filter((text) => text.includes("/120"))).toHaveLength(2);
    expect(out.screen().at(-1)).toContain("120/120");
  });

  it("shows progress as a bar and takes it away at the end", () => {
    const { report, out } = reporterOn("bar", 80);
    report(progress(1000));
    expect(out.screen()).toEqual([expect.stringMatching(/^\[#+\.+\] {2}25% {2}tokenising {2}1,000\/4,000 lines$/)]);
    report(progress(4000));
    expect(out.screen()).toEqual([""]);
  });

  it("shows the bar of a run before its first step", () => {
    const { report, out } = reporterOn("bar", 80);
    report({ type: "progress", task: "training", done: 0, total: 20, unit: "steps" });
    expect(out.screen()).toEqual([expect.stringMatching(/^\[\.+\] {3}0% {2}training {2}0\/20 steps$/)]);
    vi.advanceTimersByTime(30_000);
    report(step({ step: 1, totalSteps: 20, logged: false }));
    expect(out.screen()).toEqual([expect.stringContaining("5%  1/20  loss")]);
  });

  it("keeps the bar below a message", () => {
    const { report, out, err } = reporterOn("bar", 80);
    report(step({ logged: false }));
    const [bar] = out.screen();
    report({ type: "message", level: "warn", text: "slow" });
    expect(err.written).toEqual(["warning: slow\n"]);
    expect(out.screen()).toEqual([bar]);
  });
});

describe("a reporter of JSON", () => {
  it("writes every step and message as an object a line, and progress once a second", () => {
    const { report, out, err } = reporterOn("json");
    const events: RunEvent[] = [
      step({ logged: false }),
      { type: "message", level: "warn", text: "两\nlines" },
      { type: "eval", step: 3, metrics: { eval_loss: 1.5 } },
    ];
    for (const event of events) report(event);
    for (let done = 400; done <= 4000; done += 400) {
      report(progress(done));
      vi.advanceTimersByTime(600);
    }
    expect(err.written).toEqual([]);
    const parsed = out.written.map((line) => JSON.parse(line) as RunEvent);
    expect(parsed.slice(0, 3)).toEqual(events);
    expect(parsed.slice(3).map((event) => event.type === "progress" && event.done)).toEqual([
      1200, 2000, 2800, 3600, 4000,
    ]);
    expect(out.written.every((line) => line.indexOf("\n") === line.length - 1)).toBe(true);
  });
});
