/** From folders of text to rows: the split, the limits, packing or not, and both kinds of file. */
import { join } from "node:path";
import { parseFlags } from "@medgpt/core/config";
import { loadTokenizer, type Tokenizer } from "@medgpt/core/tokenizer";
import type { RunEvent } from "@medgpt/core/run";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pretrainSchema } from "./config.js";
import { batchesOf, loadData } from "./data.js";
import type { Flags, Toys } from "@medgpt/core/testing";
import { makeToys } from "./testing/toys.js";

let toys: Toys;
let tokenizer: Tokenizer;
beforeAll(async () => {
  toys = await makeToys();
  tokenizer = await loadTokenizer(toys.at("llama"));
  const numbered = (count: number, word: string): string[] => Array.from({ length: count }, (_, i) => `${word} ${i}`);
  await toys.write("mixed/a.txt", numbered(30, "first").join("\n") + "\n");
  await toys.write(
    "mixed/deeper/b.jsonl",
    numbered(20, "second")
      .map((text) => JSON.stringify({ text }))
      .join("\n"),
  );
  await toys.write("mixed/notes.md", "no text to train on");
});
afterAll(() => toys.remove());

async function load(flags: Flags = {}) {
  const { config } = parseFlags(pretrainSchema, toys.argv("unused", { train_file_dir: toys.at("mixed"), ...flags }));
  const events: RunEvent[] = [];
  await using data = await loadData(config, tokenizer, { log: (event) => events.push(event) });
  const texts = async (rows: typeof data.train): Promise<string[]> =>
    Promise.all(Array.from({ length: rows.count }, async (_, row) => tokenizer.decode(await rows.read(row))));
  const result = {
    train: await texts(data.train),
    validation: await texts(data.validation),
    messages: events.flatMap((event) => (event.type === "message" ? [event.text] : [])),
  };
  return result;
}

const unpacked = { packing: false, do_eval: true };

describe("the texts", () => {
  it("are the lines of .txt and .jsonl files at every depth, in the order of their paths", async () => {
    const { train, messages } = await load({ packing: false });
    expect(train).toHaveLength(50);
    expect(train[0]).toBe("first 0\n");
    expect(train[29]).toBe("first 29\n");
    expect(train[30]).toBe("second 0");
    expect(messages[0]).toMatch(/mixed: 50 documents, [\d,]+ tokens, 1 other file ignored$/);
  });

  it("lose the line break of .txt files where asked", async () => {
    expect((await load({ packing: false, keep_linebreaks: false })).train[0]).toBe("first 0");
  });

  it("are tokenised once and then found in the cache", async () => {
    await load({ cache_dir: toys.at("cache-twice") });
    expect((await load({ cache_dir: toys.at("cache-twice") })).messages[0]).toMatch(/; the tokens are from the cache$/);
    const again = await load({ cache_dir: toys.at("cache-twice"), overwrite_cache: true });
    expect(again.messages[0]).not.toMatch(/cache/);
  });
});

describe("what is said of the text", () => {
  it("names files of plain text that are JSON all through, and documents with half of a character", async () => {
    await toys.write("odd/all.txt", '{"text": "one"}\n\n{"text": "two"}\n');
    await toys.write("odd/some.txt", 'plain\n{"text": "two"}\n');
    await toys.write("odd/half.jsonl", '{"text": "cut \\ud83d"}\n{"text": "whole \\ud83e\\udd27"}\n');
    for (const flags of [{}, { streaming: true, max_steps: 1 }]) {
      const { messages } = await load({ train_file_dir: toys.at("odd"), packing: false, ...flags });
      expect(messages.filter((text) => text.includes("JSON"))).toEqual([
        expect.stringMatching(/odd\/all\.txt: every line is JSON with a "text".* ends in \.jsonl/),
      ]);
      if (flags.streaming === undefined)
        expect(messages).toContainEqual(
          expect.stringMatching(/: 1 document with half of a character .*read as U\+FFFD;/),
        );
    }
  });

  it("counts one as one, and names a text that is shorter than a block", async () => {
    await toys.write("short/a.txt", "a short text\n");
    const { messages } = await load({ train_file_dir: toys.at("short") });
    expect(messages).toEqual([
      expect.stringMatching(/short: 1 document, \d+ tokens$/),
      expect.stringMatching(/^train: 1 row of \d+ tokens, less than --block_size 32$/),
    ]);
    const long = (await load({ train_file_dir: toys.at("mixed") })).messages.at(-1);
    expect(long).toMatch(/^train: \d+ rows of 32 tokens, \d+ tokens? left over$/);
  });

  it("counts documents with special tokens in their text", async () => {
    await toys.write("special/a.txt", "one\ntwo <|endoftext|> three\n");
    const { messages } = await load({ train_file_dir: toys.at("special") });
    expect(messages).toContainEqual(
      expect.stringMatching(/special: 1 document with special tokens of the tokenizer in the text: .*medgpt data lint/),
    );
  });

  it("warns of little text to evaluate on, unless so little was asked for", async () => {
    const flags = { ...unpacked, train_file_dir: toys.at("mixed"), validation_file_dir: undefined, do_eval: true };
    const little = /^1 row \(2 % of the data\) to evaluate on: .*raise --validation_split_percentage/;
    const split = { ...flags, validation_split_percentage: 2 };
    expect((await load(split)).messages).toContainEqual(expect.stringMatching(little));
    expect((await load({ ...split, max_eval_samples: 1 })).messages).not.toContainEqual(expect.stringMatching(little));
    expect((await load({ ...flags, validation_split_percentage: 50 })).messages.join()).not.toContain("to evaluate on");
  });
});

describe("validation", () => {
  it("takes the first documents of the training text where it has no folder of its own", async () => {
    const { train, validation } = await load({ ...unpacked, validation_split_percentage: 10 });
    expect(validation).toEqual(["first 0\n", "first 1\n", "first 2\n", "first 3\n", "first 4\n"]);
    expect(train).toHaveLength(45);
    expect(train[0]).toBe("first 5\n");
  });

  it("leaves the training text whole where it has a folder, or is not asked for", async () => {
    const { train, validation } = await load({ ...unpacked, validation_file_dir: toys.at("held") });
    expect([train.length, validation.length]).toEqual([50, 4]);
    expect((await load({ packing: false })).validation).toEqual([]);
  });

  it("is asked for by --eval_strategy as by --do_eval", async () => {
    const flags = { packing: false, eval_strategy: "epoch", validation_split_percentage: 10 };
    expect((await load(flags)).validation).toHaveLength(5);
  });

  it("is refused where its share is less than a document", async () => {
    await expect(load(unpacked))
      .resolves.toMatchObject({ validation: { length: 0 } })
      .catch(() => {});
    await expect(load({ ...unpacked, train_file_dir: toys.at("held") })).rejects.toThrow(
      "no document to evaluate on; raise --validation_split_percentage or give --validation_file_dir",
    );
  });
});

describe("rows", () => {
  it("are blocks of exactly block_size tokens when packing, documents joined by the end-of-text token", async () => {
    const { config } = parseFlags(pretrainSchema, toys.argv("unused", { train_file_dir: toys.at("mixed") }));
    await using data = await loadData(config, tokenizer, { log: () => {} });
    const { train } = data;
    expect(train.count).toBeGreaterThan(5);
    const ids = [];
    for (let row = 0; row < train.count; row++) {
      const block = await train.read(row);
      expect(block.length).toBe(32);
      ids.push(...block);
    }
    const ends = ids.filter((id) => id === tokenizer.eosId).length;
    expect(tokenizer.decode(Int32Array.from(ids)).startsWith("first 0\n<|endoftext|>first 1\n<|endoftext|>")).toBe(
      true,
    );
    expect(ends).toBeGreaterThan(40);
    expect(train.tokens).toBe(ids.length);
  });

  it("are counted by max_train_samples and max_eval_samples: blocks when packing", async () => {
    const flags = { do_eval: true, validation_file_dir: toys.at("text"), max_train_samples: 3, max_eval_samples: 2 };
    const { train, validation } = await load(flags);
    expect([train.length, validation.length]).toEqual([3, 2]);
    const all = await load({ do_eval: true, validation_file_dir: toys.at("text") });
    expect(train).toEqual(all.train.slice(0, 3));
    expect(validation).toEqual(all.validation.slice(0, 2));
  });

  it("are counted so without packing too: documents", async () => {
    const flags = { ...unpacked, validation_file_dir: toys.at("held"), max_train_samples: 3, max_eval_samples: 2 };
    const { train, validation } = await load(flags);
    expect([train.length, validation.length]).toEqual([3, 2]);
  });

  it.each([-1, 0, 1000, "None"])("are all there with max_train_samples %s", async (max_train_samples) => {
    expect((await load({ packing: false, max_train_samples })).train).toHaveLength(50);
  });

  it("are documents cut after block_size tokens without packing", async () => {
    const { train } = await load({ packing: false, block_size: 1 });
    expect(train).toHaveLength(50);
    expect(new Set(train)).toEqual(
      new Set(["first", "second"].map((word) => tokenizer.decode(tokenizer.encode(word).slice(0, 1)))),
    );
  });

  it("make batches end to end in which the last token of a row predicts nothing", async () => {
    const { config } = parseFlags(
      pretrainSchema,
      toys.argv("unused", { train_file_dir: toys.at("mixed"), packing: false }),
    );
    await using data = await loadData(config, tokenizer, { log: () => {} });
    const { train } = data;
    const [a, b] = [await train.read(0), await train.read(40)];
    const batch = await batchesOf(train).batch([0, 40]);
    expect([...batch.ids]).toEqual([...a, ...b]);
    expect([...batch.labels]).toEqual([...a.slice(1), -100, ...b.slice(1), -100]);
    expect([...batch.segments]).toEqual([0, a.length, a.length + b.length]);
  });

  it("train the same whether packed from .txt, from .jsonl or from .json", async () => {
    const lines = ["one text", "another text"];
    await toys.write("as-txt/a.txt", lines.join("\n"));
    await toys.write("as-jsonl/a.jsonl", lines.map((text) => JSON.stringify({ text })).join("\n"));
    await toys.write("as-json/a.json", JSON.stringify({ data: lines.map((text) => ({ text })) }, null, 2));
    const [txt, jsonl, json] = [
      await load({ train_file_dir: toys.at("as-txt"), keep_linebreaks: false }),
      await load({ train_file_dir: toys.at("as-jsonl") }),
      await load({ train_file_dir: toys.at("as-json") }),
    ];
    expect(txt.train).toEqual(jsonl.train);
    expect(txt.train).toEqual(json.train);
    expect(txt.train).toEqual(["one text<|endoftext|>another text<|endoftext|>"]);
  });
});

it("refuses to pack with a tokenizer that names no end-of-text token", async () => {
  const { TOKENIZER } = { TOKENIZER: await loadTokenizer(toys.at("llama")) };
  const nameless = { ...TOKENIZER, eosId: undefined };
  const { config } = parseFlags(pretrainSchema, toys.argv("unused"));
  await expect(loadData(config, nameless, { log: () => {} })).rejects.toThrow(
    `${join(toys.dir, "llama")}: packing ends each document with the end-of-text token`,
  );
});
