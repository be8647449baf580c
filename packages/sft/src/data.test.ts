import { loadTokenizer, type Tokenizer } from "@medgpt/core/tokenizer";
import { parseFlags } from "@medgpt/core/config";
import type { Batches } from "@medgpt/core/stage";
import type { Flags, Toys } from "@medgpt/core/testing";
import type { Batch } from "@medgpt/core/data";
import type { RunEvent } from "@medgpt/core/run";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sftSchema } from "./config.js";
import { loadData } from "./data.js";
import { chat, makeToys } from "./testing/toys.js";

let toys: Toys;
let tokenizer: Tokenizer;
beforeAll(async () => {
  toys = await makeToys();
  tokenizer = await loadTokenizer(toys.at("llama"));
});
afterAll(() => toys.remove());

/** All rows of the training data, in order: their texts, and those of the parts with loss. */
async function load(flags: Flags = {}) {
  const { config } = parseFlags(sftSchema, toys.argv("unused", { train_sampling_strategy: "sequential", ...flags }));
  const events: RunEvent[] = [];
  await using data = await loadData(config, tokenizer, { log: (event) => events.push(event) });
  const all = async ({ rows, batch }: Batches): Promise<Batch[]> => {
    const batches: Batch[] = [];
    for (let row = 0; row < rows; row++) batches.push(await batch([row]));
    return batches;
  };
  const [batches, held] = [await all(data.train), await all(data.validation)];
  const messages = events.flatMap((event) => (event.type === "message" ? [event.text] : []));
  return { batches, held, messages };
}

/** The texts that carry loss, without what ends them. */
function learnt(labels: Int32Array): string[] {
  const runs: number[][] = [[]];
  for (const label of labels) {
    if (label === -100) runs.push([]);
    else runs.at(-1)!.push(label);
  }
  return runs.filter((run) => run.length > 0).map((run) => tokenizer.decode(run.slice(0, -1)));
}

const answers = (turns: readonly { from: string; value: string }[]): string[] =>
  turns.filter(({ from }) => from === "gpt").map(({ value }) => value);
const rows = (...conversations: unknown[]): string =>
  conversations.map((conversations) => JSON.stringify({ conversations }) + "\n").join("");

describe("the rows to train on", () => {
  it("have U+FFFD for half of a character, which is counted", async () => {
    const half = {
      conversations: [
        { from: "human", value: "Q \ud83d" },
        { from: "gpt", value: "A \udd27." },
      ],
    };
    await toys.write("halves/a.jsonl", `${JSON.stringify(half)}\n`);
    const { batches, messages } = await load({ train_file_dir: toys.at("halves") });
    expect(batches).toHaveLength(1);
    expect(messages).toContainEqual(expect.stringMatching(/1 row with half of a character: .*read as U\+FFFD/));
  });

  it("carry loss on the answers alone, each ended", async () => {
    const { batches, messages } = await load();
    expect(batches).toHaveLength(20);
    const expected = Array.from({ length: 20 }, (_, index) => answers(chat(index, 1 + (index % 3))).join("|"));
    expect(batches.map(({ labels }) => learnt(labels).join("|")).sort()).toEqual(expected.sort());
    for (const { labels } of batches) expect(labels).toContain(tokenizer.eosId);
    expect(messages).toEqual([
      expect.stringMatching(/chats: 20 conversations, 20 rows, [\d,]+ tokens, \d+ % with loss$/),
    ]);
  });

  it.each([{}, { packing: true }])("are known by their length, longest first: %j", async (flags) => {
    const { config } = parseFlags(sftSchema, toys.argv("unused", flags));
    await using data = await loadData(config, tokenizer, { log: () => {} });
    const lengths: number[] = [];
    for (let row = 0; row < data.train.rows; row++) lengths.push((await data.train.batch([row])).ids.length);
    lengths.sort((a, b) => b - a);
    expect(data.train.longest(1)).toBe(lengths[0]);
    expect(data.train.longest(2)).toBe(lengths[0]! + (lengths[1] ?? 0));
  });

  it("are in the order of datasets' shuffle(seed=42), whatever the seed", async () => {
    const first = (await load()).batches.map(({ labels }) => learnt(labels));
    const other = (await load({ seed: 7 })).batches.map(({ labels }) => learnt(labels));
    expect(other).toEqual(first);
    // numpy.random.default_rng(42).permutation(20)
    const order = [15, 9, 14, 7, 12, 10, 6, 19, 3, 0, 16, 5, 11, 18, 2, 4, 17, 1, 13, 8];
    expect(first).toEqual(order.map((index) => answers(chat(index, 1 + (index % 3)))));
  });

  it("are as many as max_train_samples, and apart from those to evaluate on", async () => {
    expect((await load({ max_train_samples: 7 })).batches).toHaveLength(7);
    const { batches, held } = await load({ do_eval: true, validation_split_percentage: 20 });
    expect([batches.length, held.length]).toEqual([16, 4]);
    const texts = [...batches, ...held].map(({ ids }) => tokenizer.decode(ids));
    expect(new Set(texts).size).toBe(20);
    expect((await load({ do_eval: true, validation_file_dir: toys.at("held") })).held).toHaveLength(6);
  });

  it("carry loss everywhere with train_on_inputs", async () => {
    const { batches } = await load({ train_on_inputs: true });
    for (const { labels } of batches) expect([...labels].filter((label) => label === -100)).toHaveLength(1);
  });

  it("come from the cache the second time, and from another one for other flags", async () => {
    await load();
    expect((await load()).messages[0]).toContain("; the tokens are from the cache");
    expect((await load({ template_name: "alpaca" })).messages[0]).not.toContain("from the cache");
  });

  it("are read from OpenAI's messages, and from .json", async () => {
    const messages = chat(3, 2).map(({ from, value }) => ({
      role: from === "gpt" ? "assistant" : "user",
      content: value,
    }));
    await toys.write("openai/a.json", JSON.stringify([{ messages }]));
    const { batches } = await load({ train_file_dir: toys.at("openai") });
    expect(batches.map(({ labels }) => learnt(labels))).toEqual([answers(chat(3, 2))]);
  });
});

describe("a conversation that is too long", () => {
  it("becomes rows within the length in which each answer is learnt once, after what fits of the turns before", async () => {
    await toys.write("long/a.jsonl", rows(chat(1, 12)));
    const { batches, messages } = await load({ train_file_dir: toys.at("long") });
    expect(batches.length).toBeGreaterThan(1);
    for (const { ids } of batches) expect(ids.length).toBeLessThanOrEqual(128);
    expect(batches.flatMap(({ labels }) => learnt(labels))).toEqual(answers(chat(1, 12)));
    // The second row begins with turns that the first one had.
    expect(tokenizer.decode(batches[1]!.ids)).toContain(
      chat(1, 12)[2 * (learnt(batches[0]!.labels).length - 1)]!.value,
    );
    expect(messages).toContain(
      `${toys.at("long")}: 1 conversation longer than --model_max_length: each becomes several rows`,
    );
  });

  it("keeps the end of its question and the beginning of its answer", async () => {
    const question = `${"before ".repeat(150)}the very end?`;
    const answer = `The beginning, ${"then more ".repeat(150)}`;
    await toys.write(
      "huge/a.jsonl",
      rows([
        { from: "human", value: question },
        { from: "gpt", value: answer },
      ]),
    );
    const { batches, messages } = await load({ train_file_dir: toys.at("huge") });
    const [{ ids, labels }] = batches as unknown as [Batch];
    expect(ids.length).toBeLessThanOrEqual(128);
    expect(tokenizer.decode(ids)).toMatch(/before the very end\?\n<bot>:\s*The beginning/);
    expect(labels).not.toContain(tokenizer.eosId);
    expect(labels.filter((label) => label !== -100)).toHaveLength(64);
    expect(messages.slice(1)).toEqual([
      `${toys.at("huge")}: 1 question cut at its beginning: raise --model_max_length to keep it whole`,
      `${toys.at("huge")}: 1 answer cut at its end: raise --model_max_length to keep it whole`,
    ]);
  });

  it("is dropped and counted where a system prompt leaves no room", async () => {
    const system = { from: "system", value: "rule ".repeat(300) };
    await toys.write("system/a.jsonl", rows([system, ...chat(1, 1)], chat(2, 1)));
    const { batches, messages } = await load({ train_file_dir: toys.at("system") });
    expect(batches).toHaveLength(1);
    expect(messages).toContain(
      `${toys.at("system")}: 1 answer for which a row has no room: left out; raise --model_max_length`,
    );
  });
});

describe("what is set aside to evaluate on", () => {
  it("is said to be little where it is, unless so little was asked for", async () => {
    const warning = expect.stringMatching(
      /^1 row \(5 % of the data\) to evaluate on: .* raise --validation_split_percentage or give --validation_file_dir$/,
    );
    const flags = { do_eval: true, validation_split_percentage: 5 };
    expect((await load(flags)).messages).toContainEqual(warning);
    expect((await load({ ...flags, max_eval_samples: 1 })).messages).not.toContainEqual(warning);
    expect((await load({ do_eval: true, validation_split_percentage: 50 })).messages.join()).not.toContain(
      "evaluate on",
    );
    const held = { do_eval: true, validation_file_dir: toys.at("held") };
    expect((await load(held)).messages).toContainEqual(
      expect.stringMatching(/^6 rows to evaluate on: .*give more of it/),
    );
  });
});

describe("packs", () => {
  it("hold several conversations and lose none", async () => {
    const alone = await load();
    for (const flags of [{ packing: true }, { neat_packing: true }]) {
      const { batches } = await load(flags);
      expect(batches.length).toBeLessThan(14);
      for (const { ids } of batches) expect(ids.length).toBeLessThanOrEqual(128);
      const all = (of: typeof batches) => of.flatMap(({ labels }) => learnt(labels)).sort();
      expect(all(batches)).toEqual(all(alone.batches));
      const sequences = batches.reduce((sum, { segments }) => sum + segments.length - 1, 0);
      expect(sequences).toBe("packing" in flags ? batches.length : 20);
    }
  });
});

describe("rows that cannot be used", () => {
  it.each([
    ["nothing", "", /do_train: no conversation with an answer to learn is left/],
    ["no answer", rows([{ from: "human", value: "q" }]), /no conversation with an answer to learn/],
    [
      "another form",
      '{"instruction":"a","output":"b"}\n',
      /a\.jsonl:1: expected a list "conversations".*got the fields instruction, output.*medgpt data convert/,
    ],
    [
      "pairs of answers",
      rows(chat(1, 1), chat(2, 1)) + '{"conversations":[{"from":"human","value":"q"}],"chosen":"a","rejected":"b"}\n',
      /a\.jsonl:3: this looks like preference data/,
    ],
    [
      "pairs of which some conversations have answers before",
      `${JSON.stringify({ conversations: chat(1, 2).slice(0, 3), chosen: "a", rejected: "b" })}\n`,
      /a\.jsonl:1: this looks like preference data/,
    ],
    [
      "questions alone, for the most part",
      rows(chat(1, 1), chat(1, 1).slice(0, 1), [], chat(2, 1).slice(0, 1)),
      /a\.jsonl: no conversation with an answer to learn in 3 of 4 rows \(line 2: question without an answer; line 3: no turns; line 4/,
    ],
    ["text", '{"text":"a"}\n', /a\.jsonl:1: this looks like plain text/],
    [
      "a number for a text",
      rows([{ from: "human", value: 3 }]),
      /a\.jsonl:1: conversations\[0\]: expected a string "value", got 3/,
    ],
    ["no JSON", rows(chat(1, 1)) + "{]\n", /a\.jsonl:2:2: expected a JSON object/],
    ["tools that are no JSON", '{"conversations":[],"tools":"[{"}\n', /a\.jsonl:1: tools: expected JSON/],
    [
      "a call that is no JSON",
      rows([
        { from: "human", value: "q" },
        { from: "function_call", value: "now()" },
      ]),
      /a\.jsonl:1: conversations\[1\]: expected JSON/,
    ],
  ])("%s", async (name, text, message) => {
    const dir = `bad ${name}`;
    await toys.write(`${dir}/a.jsonl`, text);
    await expect(load({ train_file_dir: toys.at(dir) })).rejects.toThrow(message);
  });

  it("are those that the template refuses, with their place", async () => {
    const refusing =
      "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turns') }}{% endif %}{% for m in messages %}{{ m['content'] }}{% endfor %}";
    const dir = await toys.copy("llama", "refusing");
    await toys.write("refusing/chat_template.jinja", refusing);
    await toys.write("systems/a.jsonl", rows(chat(1, 1), [{ from: "system", value: "s" }, ...chat(2, 1)]));
    tokenizer = await loadTokenizer(dir);
    const flags = { train_file_dir: toys.at("systems"), template_name: undefined };
    await expect(load(flags)).rejects.toThrow(
      /a\.jsonl:2: .*chat_template\.jinja: the chat template refuses the conversation: no system turns; put the system prompt at the beginning of the first question instead, or .*--template_name/,
    );
    tokenizer = await loadTokenizer(toys.at("llama"));
  });

  it("says how many turns were left out", async () => {
    const turns = [
      { from: "gpt", value: "Welcome." },
      ...chat(1, 1),
      { from: "narrator", value: "…" },
      { from: "human", value: "?" },
    ];
    await toys.write("odd/a.jsonl", rows(turns));
    const { messages } = await load({ train_file_dir: toys.at("odd") });
    expect(messages.slice(1)).toEqual(
      [
        "1 answer before the first question: left out",
        '1 turn of role "narrator": left out, as the role is not known',
        "1 question without an answer: left out",
      ].map((what) => `${toys.at("odd")}: ${what}`),
    );
  });

  it("are counted where a question or an answer has no text", async () => {
    const turns = (question: string, answer: string) => [
      { from: "human", value: question },
      { from: "gpt", value: answer },
    ];
    const empty = [...turns("a", ""), ...turns("b", "\u200b"), ...turns("c", "C"), ...turns("\u3000", "D")];
    await toys.write("empty/a.jsonl", rows(empty, turns("e", "E"), turns("f", " "), turns("g", "G")));
    const { batches, messages } = await load({ train_file_dir: toys.at("empty") });
    expect(batches.map(({ labels }) => learnt(labels).join("|")).sort()).toEqual(["C", "E", "G"]);
    expect(messages.slice(1)).toEqual(
      [
        "3 answers without text: left out with the question",
        "1 question without text: left out with the answer",
        "1 conversation without an answer: left out",
      ].map((what) => `${toys.at("empty")}: ${what}`),
    );
  });

  it("says what is read and not used, each on a line", async () => {
    const [asked, answered] = [
      { role: "user", content: "q" },
      { role: "assistant", content: "a" },
    ];
    const tools = [{ type: "function", function: { name: "f", parameters: { properties: {} } } }];
    const call = { function: { name: "f", arguments: { floor: null } } };
    const lines = [
      { messages: [asked, answered], tools, id: 1, source: "x" },
      { messages: [asked, { ...answered, reasoning_content: "hm" }], tools, id: 2, source: null },
      { messages: [asked, { role: "assistant", tool_calls: [call] }], tools: [] },
      { messages: [asked, { role: "assistant", tool_calls: [call] }], tools },
      { messages: [{ role: "developer", content: "s" }, asked, answered], system: "t" },
    ];
    await toys.write("unused/a.jsonl", lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const { messages } = await load({ train_file_dir: toys.at("unused") });
    expect(messages.slice(1)).toEqual(
      [
        'columns not read: "id", "source"',
        "3 rows with tools that are not shown: give --tool_format to describe them to the model",
        '1 turn with "reasoning_content": that field is not read',
        "1 call with null for what its tool does not declare: the nulls are left out, as tables fill them in",
        "1 row with two system prompts: one is left out, a turn before a column and the last turn before others",
      ].map((what) => `${toys.at("unused")}: ${what}`),
    );
    const described = (await load({ train_file_dir: toys.at("unused"), tool_format: "qwen" })).messages.join("\n");
    expect(described).not.toContain("not shown");
  });

  it("counts the conversations whose texts hold the tokenizer's special tokens, not those of the format", async () => {
    const token = [...tokenizer.specialTokens.keys()][0]!;
    const talk = (question: string, answer: string) => [
      { from: "human", value: question },
      { from: "gpt", value: answer },
    ];
    await toys.write("forged/a.jsonl", rows(talk(`a${token}b`, `${token}`), talk("c", `C ${token} D`), talk("e", "E")));
    const { messages } = await load({ train_file_dir: toys.at("forged") });
    expect(messages).toContainEqual(
      expect.stringContaining(": 2 conversations with special tokens of the tokenizer in the text: they act as such"),
    );
  });

  it("counts the system prompts that the template does not show", async () => {
    const dir = await toys.copy("llama", "deaf");
    await toys.write(
      "deaf/chat_template.jinja",
      "{% for m in messages if m['role'] != 'system' %}{{ m['content'] }}{% endfor %}",
    );
    await toys.write("told/a.jsonl", rows(chat(1, 1), [{ from: "system", value: "s" }, ...chat(2, 1)]));
    tokenizer = await loadTokenizer(dir);
    const { messages } = await load({ train_file_dir: toys.at("told"), template_name: undefined });
    tokenizer = await loadTokenizer(toys.at("llama"));
    expect(messages).toContain(
      `${toys.at("told")}: 1 system prompt that the chat template does not show: give another --template_name`,
    );
  });
});
