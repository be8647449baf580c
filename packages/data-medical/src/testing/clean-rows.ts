/** Invented conversations about health in which no rule finds anything, no two of them alike. Not medical advice. */

export interface Conversation {
  conversations: { from: unknown; value: unknown }[];
  [column: string]: unknown;
}

/** The same numbers in [0, 1) for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<T>(items: readonly T[], random: () => number): T {
  return items[Math.floor(random() * items.length)]!;
}

const SYMPTOMS =
  "头痛 咳嗽 胸闷 乏力 恶心 腹泻 便秘 失眠 心悸 盗汗 耳鸣 眩晕 发热 皮疹 关节痛 腰酸 手麻 口干 食欲差 视物模糊 鼻塞 咽干 牙龈出血 夜尿多 足跟痛 反酸 打嗝 脱发 怕冷 气短".split(
    " ",
  );
const PLACES =
  "左肩 右膝 后背 小腿 手腕 额头 腹部 颈部 脚踝 胸口 下颌 髋部 指尖 眼周 腰部 耳后 锁骨 大腿 肘部 舌根".split(" ");
const TESTS =
  "血常规 肝功能 心电图 胸片 胃镜 肾功能 甲状腺超声 血糖 骨密度 尿常规 肺功能 眼底检查 血脂 电解质 脑电图 过敏原检测 凝血功能 腹部超声 听力测试 动态血压".split(
    " ",
  );
const HABITS =
  "早睡早起 少吃油炸食物 每天散步 多喝温水 减少饮酒 控制体重 午休片刻 练习深呼吸 避免久坐 注意保暖 清淡饮食 记录血压 按时复诊 学习放松 远离烟雾 保持通风 热敷患处 做拉伸运动 少喝咖啡 规律进餐".split(
    " ",
  );
const DEPARTMENTS = "内科 外科 皮肤科 神经科 心内科 消化科 骨科 眼科 耳鼻喉科 内分泌科 呼吸科 肾内科".split(" ");
const FIGURES = ["3.5", "120/80", "7", "0.25", "38.2", "98", "15", "2.0", "60", "500"];

/** A question of four things that are picked each from many, so that two questions are not alike. */
function question(random: () => number): string {
  const [a, b] = [pick(SYMPTOMS, random), pick(SYMPTOMS, random)];
  const more = `${pick(PLACES, random)}不太舒服，${pick(HABITS, random)}以后又有${pick(SYMPTOMS, random)}`;
  const ages = 18 + Math.floor(random() * 70);
  return `我今年${ages}岁，${a}还带着${b}，${more}，要不要查${pick(TESTS, random)}？`;
}

function answer(random: () => number): string {
  const sentences = Array.from({ length: 4 + Math.floor(random() * 4) }, () =>
    pick(
      [
        () => `${pick(SYMPTOMS, random)}和${pick(PLACES, random)}的不适可能有关，建议先做${pick(TESTS, random)}。`,
        () => `可以到${pick(DEPARTMENTS, random)}就诊，同时${pick(HABITS, random)}，${pick(HABITS, random)}。`,
        () => `如果${pick(TESTS, random)}的数值超过${pick(FIGURES, random)}，需要再查${pick(TESTS, random)}。`,
        () => `平时${pick(HABITS, random)}，对${pick(SYMPTOMS, random)}有帮助，也能减轻${pick(SYMPTOMS, random)}。`,
        () =>
          `${pick(PLACES, random)}疼痛时先休息，${Math.ceil(random() * 9)}天不见好转就去${pick(DEPARTMENTS, random)}。`,
      ],
      random,
    )(),
  );
  return sentences.join(pick(["", "", "\n"], random));
}

/** A conversation of one to three questions with their answers. */
export function cleanRow(random: () => number, questions = 1 + Math.floor(random() * 3)): Conversation {
  const turns = Array.from({ length: questions }, () => [
    { from: "human", value: question(random) },
    { from: "gpt", value: answer(random) },
  ]);
  return { conversations: turns.flat() };
}
