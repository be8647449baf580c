/**
 * Plants defects of every rule of `medgpt data lint` in clean rows and says where they are. Places come from marks that are
 * put into the rows and taken out of the finished text, so that they owe nothing to the code under test.
 */
import { cleanRow, pick, seededRandom, type Conversation } from "./clean-rows.js";

export interface Planted {
  readonly rule: string;
  /** From 1; columns in characters. */
  readonly line: number;
  readonly column: number;
}

export interface SeededFile {
  readonly bytes: Buffer;
  readonly clean: Buffer;
  /** Rows whose questions some of the others repeat. */
  readonly heldOut: Buffer;
  readonly planted: readonly Planted[];
}

export interface SeedOptions {
  readonly seed: number;
  readonly rows: number;
  /** Lines, or a list of JSON that is written over many lines and has no defects of the kind that spoil a whole list. */
  readonly layout: "jsonl" | "json";
}

/** Stands before the place that a finding is to point at. */
const HERE = "\ue000";
/** Begins a string whose quote is the place. */
const QUOTE = "\ue001";
/** Begins a string that stands for JSON, which is the place. */
const JSON_HERE = "\ue002";
/** A key of the object that is the place. */
const OBJECT = "\ue004";
/** Becomes a byte that no UTF-8 has. */
const BAD_BYTE = "\ue003";

type Random = () => number;

interface Defect {
  /** Changes a conversation of two questions, or gives another in its place. */
  readonly plant?: (row: Conversation, random: Random, others: Others) => Conversation | void;
  /** Changes the JSON of the row, for defects that spoil more than one row of a list. */
  readonly text?: (json: string) => string;
}

interface Others {
  /** A row that stands before the one that is changed. */
  readonly earlier: Conversation;
  readonly heldOut: Conversation;
}

const inAnswer = (insert: (random: Random) => string): Defect => ({
  plant: ({ conversations }, random) => {
    const turn = conversations[1]!;
    const text = turn.value as string;
    const at = text.indexOf("，") + 1;
    turn.value = `${text.slice(0, at)}${insert(random)}${text.slice(at)}`;
  },
});
const lastAnswer = (end: string): Defect => ({
  plant: ({ conversations }) => {
    conversations.at(-1)!.value = (conversations.at(-1)!.value as string) + end;
  },
});
const inTurn = (index: number, change: Partial<Conversation["conversations"][number]>): Defect => ({
  plant: ({ conversations }) => void Object.assign(conversations.at(index)!, change),
});
const turns = (...from: string[]): Defect => ({
  plant: (row, random) => {
    const values = cleanRow(random, from.length).conversations;
    row.conversations = from.map((role, i) => ({ from: role, value: values[i]!.value }));
  },
});
/** A question with two answers, which `rejected` makes of the first. */
const pair = (rejected: (chosen: string) => unknown): Defect => ({
  plant: ({ conversations: [asked, answered] }) => {
    const chosen = answered!.value as string;
    return { conversations: [asked!], chosen, rejected: rejected(chosen) };
  },
});
const TOOLS = '[{"name": "pulse", "parameters": {"type": "object", "properties": {"seconds": {"type": "integer"}}}}]';
const calling = (call: string, tools: string = TOOLS): Defect => ({
  plant: ({ conversations: [asked, answered] }) => ({
    conversations: [asked!, { from: "function_call", value: call }, { from: "observation", value: "72" }, answered!],
    tools,
  }),
});
const decoded = (text: string, encoding: string): string => new TextDecoder(encoding).decode(Buffer.from(text));

export const DEFECTS: Readonly<Record<string, readonly Defect[]>> = {
  encoding: [
    inAnswer(() => `${HERE}\u200b`),
    inAnswer(() => `${HERE}\ufeff`),
    inAnswer(() => `${HERE}\u0001`),
    inAnswer(() => `${HERE}\u200d`),
    inAnswer(() => `${HERE}\u202e`),
    inAnswer(() => `${HERE}\r\n`),
    { text: (json) => json.replace("，", `，${HERE}${BAD_BYTE}`) },
    { text: (json) => `${json}${HERE}\r` },
  ],
  json: [
    { text: (json) => `${json.slice(0, -1)}${HERE}` },
    { text: (json) => `${json.slice(0, -1)}${HERE},}` },
    { text: (json) => `${json}${HERE},` },
    { text: (json) => json.replace(/"from"/, `${HERE}'from'`) },
    { text: (json) => json.replace("，", `，${HERE}\t`) },
    { text: (json) => `${HERE}[${json}]` },
    { text: (json) => `${json.slice(0, -1)}, "id": 1, ${HERE}"id": 2}` },
  ],
  missing: [
    inTurn(1, { value: QUOTE }),
    inTurn(0, { value: `${JSON_HERE}null` }),
    inTurn(1, { value: `${JSON_HERE}12` }),
    inTurn(2, { value: `${QUOTE} \n ` }),
    inTurn(-1, { value: QUOTE }),
    inTurn(0, { from: `${JSON_HERE}null` }),
    { plant: () => ({ conversations: `${JSON_HERE}[]` as never }) },
    { plant: ({ conversations }) => void (conversations[1] = `${QUOTE}嗯` as never) },
    { plant: ({ conversations }) => void (conversations[2] = { [OBJECT]: 0, from: "human" } as never) },
    { plant: ({ conversations }) => ({ talks: conversations }) as never },
  ],
  "unknown-role": [
    inTurn(0, { from: `${QUOTE}Human` }),
    inTurn(1, { from: `${QUOTE}医生` }),
    inTurn(1, { from: `${QUOTE}narrator` }),
    inTurn(3, { from: `${QUOTE} gpt ` }),
  ],
  "role-order": [
    turns("human", "gpt", `${QUOTE}gpt`, "human"),
    turns("human", `${QUOTE}human`, "gpt"),
    turns("human", "gpt", `${QUOTE}system`, "human", "gpt"),
    turns("human", "gpt", `${QUOTE}observation`, "gpt"),
    turns(`${QUOTE}gpt`, "human", "gpt"),
    turns("human", "gpt", `${QUOTE}human`),
  ],
  "tool-calls": [
    calling(`${QUOTE}pulse()`),
    calling(`${QUOTE}{"name": "pulse", "arguments": [30]}`),
    calling(`${QUOTE}{"name": "pulse", "arguments": "soon"}`),
    calling(`${QUOTE}{"name": "pulse", "arguments": {"seconds": 30, "floor": null}}`),
    calling('{"name": "pulse", "arguments": {"seconds": null}}', `${QUOTE}{"name": "pulse"}`),
  ],
  "equal-answers": [
    pair((chosen) => QUOTE + chosen),
    pair((chosen) => `${QUOTE}  ${chosen}`),
    pair((chosen) => `${QUOTE}${chosen}\n`),
    pair((chosen) => ({ [OBJECT]: 0, from: "gpt", value: chosen })),
  ],
  mojibake: [
    inAnswer(() => `${HERE}\ufffd`),
    inAnswer(() => `${HERE}${decoded("é", "windows-1252")}`),
    inAnswer(() => `it${HERE}â€™s `),
    inAnswer(() => `${HERE}${decoded("中国", "windows-1252")}`),
    inAnswer(() => `${HERE}${decoded("你好，医生", "gbk")}`),
    inAnswer(() => `${HERE}锟斤拷`),
    inAnswer(() => `${HERE}ÖÐ¹úÈË`), // 中国人 in GBK, read as Latin-1
  ],
  "mixed-script": [
    inAnswer(() => `${HERE}關於`),
    inAnswer(() => `检查${HERE}結果`),
    inAnswer(() => `体${HERE}溫`),
    inTurn(1, { value: `這個問題應該先檢查血${HERE}压，再決定怎樣治療。` }),
  ],
  "personal-data": [
    inAnswer((random) => `电话${HERE}${mobile(random)}，`),
    inAnswer((random) => `电话：${HERE}+86 ${mobile(random)}，`),
    inAnswer((random) => `手机${HERE}${mobile(random).replace(/^(...)(....)/, "$1-$2-")}，`),
    inAnswer((random) => `座机${HERE}010-6${digits(7, random)}，`),
    inAnswer((random) => `${HERE}(0571) 8${digits(6, random)}，`),
    inAnswer((random) => `身份证${HERE}${identityNumber(random)}，`),
    inAnswer((random) => `旧证${HERE}110105${50 + Math.floor(random() * 49)}0228${digits(3, random)}，`),
    inAnswer((random) => `写信到${HERE}li.ming${digits(3, random)}@mail.hospital.cn，`),
  ],
  truncated: [
    lastAnswer(`还要注意${HERE}，`),
    lastAnswer(`还要注意保暖，${HERE}以及`),
    lastAnswer(`还可以用药${HERE}（每天两次`),
    lastAnswer(`\n${HERE}\`\`\`\n血压 = 120`),
    lastAnswer(`\n以上供参考。如有不适请就医！另外在饮食上要少吃辛辣刺激的东西并且保持大便通${HERE}畅`),
  ],
  "too-long": Array.from({ length: 4 }, () => ({
    plant: (row: Conversation, random: Random) => {
      const parts = Array.from({ length: 12 }, () => cleanRow(random, 1).conversations[1]!.value as string);
      row.conversations[3]!.value = QUOTE + parts.join("");
    },
  })),
  "special-token": [
    inAnswer(() => `${HERE}<|endoftext|>`),
    inAnswer(() => `写作 ${HERE}<|endoftext|> 就行，`),
    lastAnswer(`${HERE}<|endoftext|>`),
    inTurn(0, { value: `照抄：${HERE}<|endoftext|>，可以吗？` }),
  ],
  template: ["禁止闲聊。", "禁止。", "禁止说英语，要用中文回答。", "禁酒的事不要提。"].map((system) => ({
    plant: ({ conversations }: Conversation) => void conversations.unshift({ from: "system", value: QUOTE + system }),
  })),
  leakage: [0, 1, 2, 3].map((variant) => ({
    plant: ({ conversations }: Conversation, _: Random, { heldOut }: Others) => {
      const asked = heldOut.conversations[0]!.value as string;
      conversations[0]!.value = QUOTE + (variant < 2 ? asked : asked.replace("？", "呢？"));
    },
  })),
  duplicate: Array.from({ length: 4 }, () => ({
    plant: (_: Conversation, __: Random, { earlier }: Others) => earlier,
  })),
  "near-duplicate": Array.from({ length: 4 }, () => ({
    plant: (_: Conversation, __: Random, { earlier }: Others) => {
      const [asked, ...others] = structuredClone(earlier).conversations;
      return { conversations: [{ ...asked!, value: `请问，${asked!.value as string}` }, ...others] };
    },
  })),
};

function digits(count: number, random: Random): string {
  return Array.from({ length: count }, () => Math.floor(random() * 10)).join("");
}
const mobile = (random: Random): string => pick(["138", "159", "188", "199"], random) + digits(8, random);

/** With the check digit by the weights of GB 11643. */
function identityNumber(random: Random): string {
  const body = `3301061${pick(["98", "97"], random)}${Math.floor(random() * 10)}0${1 + Math.floor(random() * 9)}1${digits(1, random)}${digits(3, random)}`;
  const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
  return body + "10X98765432"[weights.reduce((sum, weight, i) => sum + weight * Number(body[i]), 0) % 11]!;
}

/** Rows without a defect at the beginning. */
const REPEATED = 20;

export function seedDefects({ seed, rows, layout }: SeedOptions): SeededFile {
  const random = seededRandom(seed);
  const clean = Array.from({ length: rows }, () => cleanRow(random, 2));
  const heldOut = Array.from({ length: 30 }, () => cleanRow(random));
  const defects = Object.entries(DEFECTS).flatMap(([rule, list]) =>
    list.flatMap((defect) => (layout === "json" && defect.text !== undefined ? [] : [{ rule, defect }])),
  );
  // A random row for each defect; the first rows stay as they are, for others to repeat.
  const targets = Array.from({ length: rows - REPEATED }, (_, i) => ({ row: REPEATED + i, key: random() }))
    .sort((a, b) => a.key - b.key)
    .slice(0, defects.length);
  const marked = new Map<number, { rule: string; text: string }>();
  for (const [index, { rule, defect }] of defects.entries()) {
    const target = targets[index]!.row;
    const others = { earlier: clean[index % REPEATED]!, heldOut: heldOut[index % heldOut.length]! };
    const row = structuredClone(clean[target]!);
    const text =
      defect.text?.(JSON.stringify(row)) ?? written(defect.plant?.(row, random, others) ?? row, layout, random);
    const placed = text
      .replace(/"\ue001/, `${HERE}"`)
      .replace(/"\ue002([^"]*)"/, `${HERE}$1`)
      .replace(/\{(\s*)"\ue004": ?0,/, `${HERE}{$1`);
    marked.set(target, { rule, text: placed.includes(HERE) ? placed : HERE + placed });
  }

  const planted: Planted[] = [];
  let line = layout === "json" ? 2 : 1;
  const texts = clean.map((row, index) => {
    const found = marked.get(index);
    const text = found?.text ?? written(row, layout, random);
    if (found !== undefined) {
      const before = text.slice(0, text.indexOf(HERE)).split("\n");
      planted.push({ rule: found.rule, line: line + before.length - 1, column: [...before.at(-1)!].length + 1 });
    }
    line += text.split("\n").length;
    return text.replace(HERE, "");
  });
  return {
    bytes: withBadByte(Buffer.from(joined(texts, layout))),
    clean: Buffer.from(
      joined(
        clean.map((row) => written(row, layout, random)),
        layout,
      ),
    ),
    heldOut: Buffer.from(heldOut.map((row) => `${JSON.stringify(row)}\n`).join("")),
    planted,
  };
}

/** As programs write JSON: close, spaced, or in ASCII alone; a list over many lines. */
function written(row: unknown, layout: SeedOptions["layout"], random: Random): string {
  if (layout === "json") return JSON.stringify(row, null, 2);
  const style = Math.floor(random() * 3);
  if (style === 0) return JSON.stringify(row);
  const spaced = JSON.stringify(row, null, 1).replace(/\n */g, " ");
  if (style === 1) return spaced;
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return spaced.replace(/[\u0080-\udfff\ue005-\uffff]/g, escape);
}

function joined(texts: readonly string[], layout: SeedOptions["layout"]): string {
  return layout === "json" ? `[\n${texts.join(",\n")}\n]\n` : `${texts.join("\n")}\n`;
}

function withBadByte(bytes: Buffer): Buffer {
  const at = bytes.indexOf(BAD_BYTE);
  const rest = bytes.subarray(at + Buffer.byteLength(BAD_BYTE));
  return at === -1 ? bytes : Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), rest]);
}
