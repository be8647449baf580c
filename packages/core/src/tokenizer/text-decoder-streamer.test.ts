/** Streamed text against the text of the whole, on random tokens of every tokenizer of the references. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { loadNative } from "../run/native.js";
import { seededRandom } from "../numeric/seeded-random.js";
import { goldenDir, hasGoldens } from "../testing/goldens.js";
import { loadTokenizer } from "./load-tokenizer.js";
import { TextDecoderStreamer } from "./text-decoder-streamer.js";
import type { Tokenizer } from "./tokenizer.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-streamer-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Folders with a tokenizer.json; those that are packed are unpacked. */
function tokenizerDirs(): { name: string; dir: string }[] {
  const models = readdirSync(goldenDir("A_models")).map((name) => goldenDir("A_models", name));
  const packed = readdirSync(goldenDir("H_tokenizers")).filter((name) => name.endsWith(".tokenizer.json.gz"));
  const unpacked = packed.map((name) => {
    const dir = mkdtempSync(join(root, `${name.split(".")[0]}-`));
    writeFileSync(join(dir, "tokenizer.json"), gunzipSync(readFileSync(goldenDir("H_tokenizers", name))));
    return dir;
  });
  return [...models.filter((dir) => existsSync(join(dir, "tokenizer.json"))), ...unpacked].map((dir) => ({
    name: basename(dir),
    dir,
  }));
}

function streamed(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  const streamer = new TextDecoderStreamer(tokenizer);
  return [...ids.map((id) => streamer.push(id)), streamer.end()];
}

/** Ids that make trouble: single bytes, special tokens, blanks, pieces of characters. */
function oddIds(tokenizer: Tokenizer): number[] {
  return Array.from({ length: tokenizer.idCount }, (_, id) => id).filter((id) => {
    const token = tokenizer.idToToken(id) ?? "";
    return token.length < 2 || /^<.*>$|^[\u0100-\u0143]+$/.test(token) || tokenizer.decode([id]).includes("\uFFFD");
  });
}

const engines = "reason" in loadNative() ? (["js"] as const) : (["js", "native"] as const);

describe.skipIf(!hasGoldens).each(engines)("streamed by the %s engine", (engine) => {
  async function firstTokenizer(fits: (tokenizer: Tokenizer) => boolean): Promise<Tokenizer | undefined> {
    for (const { dir } of tokenizerDirs()) {
      const tokenizer = await loadTokenizer(dir, { engine });
      if (fits(tokenizer)) return tokenizer;
    }
    return undefined;
  }

  it.each(hasGoldens ? tokenizerDirs() : [])("random tokens give the text of the whole: $name", async ({ dir }) => {
    const tokenizer = await loadTokenizer(dir, { engine });
    const odd = oddIds(tokenizer);
    const random = seededRandom(1);
    const below = (limit: number) => Math.floor(random() * limit);
    expect(odd.length).toBeGreaterThan(20);
    for (let round = 0; round < 150; round++) {
      const share = [0, 0.5, 0.9, 1][round % 4] as number;
      const ids = Array.from({ length: 1 + below(30) }, () =>
        random() < share ? (odd[below(odd.length)] as number) : below(tokenizer.idCount),
      );
      const text = tokenizer.decode(ids, { skipSpecialTokens: true });
      expect(streamed(tokenizer, ids).join(""), ids.join()).toBe(text);
    }
  });

  it("shows whole words at once and holds back what may change", async ({ skip }) => {
    // One of words and, where there is none, bytes.
    const tokens = ["▁", "a", "b", "</s>", "<0x0A>"];
    const llama = await firstTokenizer((each) => tokens.every((token) => each.tokenToId(token) !== undefined));
    if (llama === undefined) return skip("no tokenizer with tokens of bytes among the references");
    const id = (token: string) => llama.tokenToId(token) as number;
    const bytes = (text: string) => [...Buffer.from(text)].map((byte) => `<0x${byte.toString(16).toUpperCase()}>`);
    const parts = (tokens: readonly string[]) => streamed(llama, tokens.map(id));
    expect(parts(["▁", "a", ...bytes("汉"), "b", "</s>"])).toEqual(["", "a", "", "", "", "汉b", "", ""]);
    // A letter among bytes that are no text together is none.
    expect(parts([...bytes("w"), "<0xE6>"])).toEqual(["", "", "\uFFFD\uFFFD"]);
    expect(parts([...bytes("w"), "</s>", "<0xE6>", "a"])).toEqual(["", "", "", "\uFFFD\uFFFDa", ""]);
    // The blank that begins a line is there, and the one that begins the text is not.
    expect(parts(["▁", "a", "<0x0A>", "▁", "b"]).join("")).toBe("a\n b");
  });

  it("gives half of a character up at the end", async ({ skip }) => {
    const start = (each: Tokenizer) => [...each.encode("€", { addSpecialTokens: false })];
    const bloom = await firstTokenizer((each) => start(each).length > 1 && each.tokenToId("<0x0A>") === undefined);
    if (bloom === undefined) return skip("no tokenizer of bytes alone among the references");
    expect(streamed(bloom, [bloom.tokenToId("a")!, start(bloom)[0]!])).toEqual(["a", "", "\uFFFD"]);
  });
});
