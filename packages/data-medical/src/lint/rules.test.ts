import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findingOf } from "./finding.js";
import { lintRow } from "./lint-row.js";
import { expectedKeys } from "./row-view.js";
import type { Rule } from "./rule.js";
import { RULES } from "./rules.js";
import { encoding } from "./rules/encoding.js";
import { json } from "./rules/json.js";
import { leakage } from "./rules/leakage.js";
import { missing } from "./rules/missing.js";
import { mixedScript } from "./rules/mixed-script.js";
import { mojibake } from "./rules/mojibake.js";
import { isIdentityNumber, personalData } from "./rules/personal-data.js";
import { roleOrder } from "./rules/role-order.js";
import { truncated } from "./rules/truncated.js";
import { unknownRole } from "./rules/unknown-role.js";

/** What a rule points at in a row: the text from the place on. */
function pointsAt(rule: Rule, raw: string, expected?: string[], plain = false): string[] {
  const context = { file: "rows.jsonl", split: "training" } as const;
  const bare = lintRow({ raw, plain, line: 1, column: 1, badByte: undefined }, { ...context, expected: [] });
  const row = lintRow(bare, { ...context, expected: expected ?? expectedKeys([bare.value]) });
  return [...rule.start({})(row)].map((problem) => {
    const { column } = findingOf(rule.name, row, problem);
    return [...raw].slice(column - 1).join("");
  });
}
const answer = (text: string): string => JSON.stringify({ question: "怎么办？", answer: text });
const inAnswer = (rule: Rule, text: string): number => pointsAt(rule, answer(text)).length;
const chat = (...turns: [role: unknown, text: unknown][]): string =>
  JSON.stringify({ conversations: turns.map(([from, value]) => ({ from, value })) });
const said = (...roles: string[]): string => chat(...roles.map((role): [string, string] => [role, "好。"]));

describe("the table in docs/lint.md", () => {
  const table = readFileSync(new URL("../../docs/lint.md", import.meta.url), "utf8").replace(/ +/g, " ");
  it.each(RULES.map(({ name, finds, fixes }) => `| \`${name}\` | ${finds} | ${fixes ?? ""} |`.replace(/ +/g, " ")))(
    "has %s",
    (line) => expect(table).toContain(line),
  );
});

describe("personal-data", () => {
  it.each([
    ["打13812345678。", "13812345678"],
    ["打+86 138-1234-5678吧", "+86 138-1234-5678"],
    ["13812345678,13912345678", "13812345678", "13912345678"],
    ["电话：（010）62345678", "（010）62345678"],
    ["0571-88123456转3", "0571-88123456"],
    ["身份证11010519491231002X", "11010519491231002X"],
    ["身份证11010519491231002x。", "11010519491231002x"],
    ["旧证110105491231002", "110105491231002"],
    ["写给 wang_lei+x@mail.pku.edu.cn。", "wang_lei+x@mail.pku.edu.cn"],
    ["[a@b.com](mailto:a@b.com)", "a@b.com", "a@b.com"],
  ])("finds it in %s", (text, ...found) => {
    const rests = pointsAt(personalData, answer(text));
    expect(rests.map((rest, i) => rest.slice(0, found[i]?.length))).toEqual(found);
  });

  it.each([
    "订单 2013812345678901，共 13812345678.50 元",
    "doi:10.1016/j.13812345678 与 https://a.cn/13812345678",
    "version 1.13812345678, id_13812345678, abc13812345678x",
    "12013812345678, 138123456789, 11012345678, 1381234567",
    "2010-62345678 与 1999-2001，2003-20051231，3.14159265358979",
    "血压 120-80，剂量 0.25-0.50，日期 2024-01-15 与 20240115",
    "身份证110105194912310021（校验错）与11010519491331002X（日期错）与99010519491231002X（地区错）",
    "条码 690123456789012 与 123456789012345",
    "me@example.com，you@your-domain.org，git@github.com:a/b.git，npm i x@1.2.3，@Component，a@b",
  ])("finds none in %s", (text) => expect(inAnswer(personalData, text)).toBe(0));

  it("checks an identity number by ISO 7064 MOD 11-2", () => {
    // Of the eleven check characters one fits.
    const fits = [..."0123456789X"].filter((char) => isIdentityNumber(`33010619880812345${char}`));
    const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const sum = weights.reduce((total, weight, i) => total + weight * Number("33010619880812345"[i]), 0);
    expect(fits).toEqual(["10X98765432"[sum % 11]]);
  });
});

describe("mojibake", () => {
  it.each(["cafÃ©", "donâ€™t", "ä¸­å›½", "锟斤拷", "烫烫烫", "浣犲ソ", "ÖÐ¹úÈË", "lost \ufffd", "Ð¿Ñ€Ð¸Ð²ÐµÑ‚"])(
    "finds %s",
    (text) => expect(inAnswer(mojibake, `见${text}。`)).toBe(1),
  );
  it.each([
    "café, SÃO PAULO, «été», l'été…», ĐÃ…, Ærø, naïve, Größe, «CAFÉ»",
    "5 µm ± 2 °C，100 m² · ½ «x» — “好”",
    "锟、斤、拷是三个字；烫伤很烫",
    "联通、移动与电信；骶骨、胼胝、羟脯氨酸、腈、邃、鲎",
    "привет, γειά, שלום, مرحبا, 안녕, こんにちは",
  ])("finds none in %s", (text) => expect(inAnswer(mojibake, text)).toBe(0));
});

describe("mixed-script", () => {
  it.each(["体溫升高时", "他說这个药", "這個问題", "患者水癒后应复查"])("finds %s", (text) =>
    expect(inAnswer(mixedScript, text)).toBe(1),
  );
  it.each([
    "皇后、干燥、里程、台湾、著名、于是、准备、群众、秘密、床位，都是简体会写的",
    "皇后、乾燥、里程、台灣、著名、於是、準備、群眾、秘密、病床，都是繁體會寫的",
    "《後漢書》与「葉劍英」的名字可以保留，这里说明",
    "社会保険労務士の試験を受験します",
    "ABC 123",
  ])("finds none in %s", (text) => expect(inAnswer(mixedScript, text)).toBe(0));
});

describe("truncated", () => {
  const prose = "先量体温，再看咽部是否红肿。如果发热超过三天，应当到医院查血常规。".repeat(3);
  it.each([
    "注意休息，",
    "注意休息，以及",
    "可以用药（每天两次",
    "first rest, then and",
    "```\ncode",
    `${prose}平时还要注意饮食清淡并且保持大便通畅防止劳`,
  ])("finds %s", (text) => expect(inAnswer(truncated, text)).toBe(1));
  it.each([
    "支持细胞错位",
    "注意休息",
    `${prose}祝您早日康复身体健康万事如意家庭幸福`,
    `${prose}\n- 布洛芬\n- 对乙酰氨基酚，必要时每六小时服用一次直到热退为止`,
    `${prose}详见 https://example.org/guidelines/fever-in-adults`,
    `${prose} #健康 #医学 #发热护理 #感冒 #家庭护理`,
    "```sh\nls\n```",
    "开心 :) 与 a) b) c) 以及（注）",
    "他喜欢和平与温和",
  ])("finds none in %s", (text) => expect(inAnswer(truncated, text)).toBe(0));
  it("looks at answers alone", () =>
    expect(pointsAt(truncated, JSON.stringify({ prompt: "注意，", chosen: "好。", rejected: "注意，" }))).toEqual([]));
});

describe("encoding", () => {
  it.each(["a\u200bb", "a\ufeffb", "a\u0000b", "a\r\nb", "中\u200d文", "a\u202eb", "co\u00adop"])(
    "finds one in %j",
    (text) => expect(inAnswer(encoding, text)).toBe(1),
  );
  it.each(["a\tb\nc", "👨‍👩‍👧 ❤️ 👍🏽", "می‌خواهم", "क्‍ष", "שלום \u200fA", "e\u0301"])("finds none in %j", (text) =>
    expect(inAnswer(encoding, text)).toBe(0),
  );
  it("finds a byte order mark and a Windows line end", () => {
    expect(pointsAt(encoding, `\ufeff${said("human", "gpt")}\r`).map((rest) => rest[0])).toEqual(["\ufeff", "\r"]);
    expect(pointsAt(encoding, "\ufeff一行\r", [], true).map((rest) => rest[0])).toEqual(["\ufeff", "\r"]);
  });
});

describe("json", () => {
  it.each([
    ['{"a": [1,2,]}', ",]}"],
    ['{"a": 1},', ","],
    ['{"a": 1}}', "}"],
    ['{"a": 1} {"a": 2}', '{"a": 2}'],
    ['{"a": NaN}', "NaN}"],
    ['{"a": {"b": 1, "b": 2}}', '"b": 2}}'],
    ['"text"', '"text"'],
    ['{"a": "x', ""],
  ])("finds the place in %s", (raw, rest) => expect(pointsAt(json, raw)).toEqual([rest]));
  it("finds none in JSON", () => expect(pointsAt(json, ' {"a": ",]", "b": {"a": [{}, {"a": ""}]}} ')).toEqual([]));
  it("refuses what is nested too deeply", () => expect(pointsAt(json, "[".repeat(1000))).toHaveLength(1));
});

describe("missing", () => {
  const keys = ["conversations"];
  it.each([
    [chat(["human", "好。"], ["gpt", ""]), '""}]}'],
    [chat(["human", null], ["gpt", "好。"]), "null},"],
    ['{"conversations": []}', "[]}"],
    ['{"conversations": null}', "null}"],
    ['{"talk": 1}', '{"talk": 1}'],
    ['{"conversations": [{"from": "human"}, {"from": "gpt", "value": "好。"}]}', '{"from": "human"}'],
    ['{"conversations": [{"value": "好。"}]}', '{"value": "好。"}]}'],
    ['{"conversations": ["好。"]}', '"好。"]}'],
  ])("finds the place in %s", (raw, start) => {
    const [rest, ...others] = pointsAt(missing, raw, keys);
    expect(others).toEqual([]);
    expect(rest!.startsWith(start)).toBe(true);
  });
  it.each([
    '{"instruction": "好？", "input": "", "output": "好。", "history": []}',
    '{"messages": [{"role": "user", "content": [{"type": "text", "text": "好？"}]}, {"role": "assistant", "content": null, "tool_calls": [{}]}]}',
    '{"prompt": [{"role": "user", "content": "好？"}], "chosen": [{"role": "assistant", "content": "好。"}], "rejected": {"role": "assistant", "content": "不。"}}',
    '{"data": ["问：好？", "答：好。"]}',
  ])("finds none in %s", (raw) => expect(pointsAt(missing, raw)).toEqual([]));
  it.each([
    [chat(["human", "\u3000"], ["gpt", "好。"]), '"\u3000"'],
    [chat(["human", "好？"], ["gpt", "\u200b\u2800"]), '"\u200b'],
    [
      '{"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}, {"role": "assistant", "content": "好。"}]}',
      '[{"type"',
    ],
    ['{"data": ["问：好？", "答： "]}', '"答： "'],
    ['{"instruction": "好？", "output": "好。", "history": [["好？", ""]]}', '""]]'],
  ])("finds the text that says nothing in %s", (raw, start) => {
    const [rest, ...others] = pointsAt(missing, raw);
    expect(others).toEqual([]);
    expect(rest!.startsWith(start)).toBe(true);
  });
  it("finds a column that other rows have", () =>
    expect(pointsAt(missing, '{"question": "好？"}', ["question", "answer"])).toEqual(['{"question": "好？"}']));
  it("finds rows without any text", () => expect(pointsAt(missing, '{"a": "好"}', [])).toHaveLength(1));
});

describe("unknown-role", () => {
  it("finds names that are not known as they stand", () => {
    expect(pointsAt(unknownRole, said("Human", "narrator"))).toHaveLength(2);
    expect(pointsAt(unknownRole, said("human", "gpt", "user", "chatgpt", "observation"))).toEqual([]);
  });
});

describe("role-order", () => {
  it.each([
    [["human", "gpt", "gpt"]],
    [["gpt", "human", "gpt"]],
    [["human", "system", "gpt"]],
    [["human", "gpt", "observation", "gpt"]],
    [["human", "function_call", "gpt"]],
    [["human", "gpt", "human"]],
    [["system"]],
  ])("finds one in %s", (roles) => expect(pointsAt(roleOrder, said(...roles))).toHaveLength(1));
  it.each([
    [["human", "gpt"]],
    [["system", "human", "gpt", "human", "gpt"]],
    [["human", "function_call", "observation", "gpt"]],
    [["human", "function_call", "function_call", "observation", "observation", "gpt"]],
    [["human", "gpt", "function_call", "observation", "function_call", "observation", "gpt"]],
    [["human", "function_call"]],
    [["human", "stranger", "gpt"]],
  ])("finds none in %s", (roles) => expect(pointsAt(roleOrder, said(...roles))).toEqual([]));

  const message = (role: string) => ({ role, content: "好。" });
  it.each([
    { conversations: [{ from: "human", value: "好？" }], chosen: "好。", rejected: "不。" },
    { prompt: [message("user")], chosen: [message("assistant")], rejected: [message("assistant")] },
    { chosen: [message("user"), message("assistant")], rejected: [message("user"), message("assistant")] },
    { prompt: [message("system"), message("user")] },
  ])("knows what is answered elsewhere: %j", (row) => expect(pointsAt(roleOrder, JSON.stringify(row))).toEqual([]));
  it("finds an answer in a prompt", () =>
    expect(pointsAt(roleOrder, JSON.stringify({ prompt: [message("user"), message("assistant")] }))).toHaveLength(1));
});

describe("leakage", () => {
  const check = leakage.start({});
  const row = (value: object, split: "reference" | "training" | "held out") =>
    lintRow(
      { raw: JSON.stringify(value), plain: false, line: 1, column: 1, badByte: undefined },
      { file: "a.jsonl", expected: [], split },
    );
  const asks = (question: string) => ({ question, answer: String(Math.random()) });

  it("compares the questions of training rows with held-out ones", () => {
    const question = "高血压患者每天吃多少盐比较合适，运动以后能不能马上洗澡？";
    expect([...check(row(asks(question), "reference"))]).toEqual([]);
    expect([...check(row(asks("你好"), "reference"))]).toEqual([]);
    expect([
      ...check(row({ instruction: question.replace("？", "呢？"), input: "", output: "好。" }, "training")),
    ]).toMatchObject([{ path: ["instruction"] }]);
    expect([...check(row(asks("糖尿病患者可以吃西瓜吗，一次吃多少比较合适？"), "training"))]).toEqual([]);
    expect([...check(row(asks("你好"), "training"))]).toEqual([]); // greetings are everywhere
    expect([...check(row(asks(question), "held out"))]).toEqual([]); // it is itself
  });
});
