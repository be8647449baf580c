/**
 * The texts of pretrain/: sentences put together from the lists below, in the manner of medical prose. The seed is fixed, so
 * the same texts come out every time.
 */
let state = 20240517;
/** mulberry32: a small generator, so that the texts do not depend on a library. */
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const int = (low, high) => low + Math.floor(random() * (high - low + 1));
const pick = (list) => list[int(0, list.length - 1)];
const some = (list, count) => {
  const rest = [...list];
  return Array.from({ length: count }, () => rest.splice(int(0, rest.length - 1), 1)[0]);
};

const zh = {
  condition: [
    "普通感冒",
    "流行性感冒",
    "急性支气管炎",
    "社区获得性肺炎",
    "支气管哮喘",
    "慢性胃炎",
    "消化性溃疡",
    "急性胃肠炎",
    "高血压病",
    "2型糖尿病",
    "缺铁性贫血",
    "过敏性鼻炎",
    "偏头痛",
    "泌尿系感染",
    "骨关节炎",
    "痛风",
    "带状疱疹",
    "甲状腺功能减退",
    "脂肪肝",
    "慢性肾脏病",
  ],
  symptom: [
    "发热",
    "咳嗽",
    "咳痰",
    "咽痛",
    "乏力",
    "头晕",
    "头痛",
    "胸闷",
    "气短",
    "恶心",
    "腹痛",
    "腹泻",
    "食欲减退",
    "心悸",
    "多饮多尿",
    "关节肿痛",
    "皮疹",
    "鼻塞流涕",
    "尿频尿急",
    "失眠",
  ],
  test: [
    "血常规",
    "C反应蛋白",
    "胸部X线片",
    "肝功能",
    "肾功能",
    "空腹血糖",
    "糖化血红蛋白",
    "心电图",
    "腹部超声",
    "尿常规",
    "甲状腺功能",
    "血脂四项",
    "血尿酸",
    "胃镜",
    "肺功能",
  ],
  care: [
    "注意休息",
    "多饮温水",
    "清淡饮食",
    "规律作息",
    "戒烟限酒",
    "适量运动",
    "控制体重",
    "减少盐的摄入",
    "避免接触过敏原",
    "保持室内通风",
    "按时复诊",
    "记录每天的血压",
    "记录每天的血糖",
    "保持心情舒畅",
  ],
  group: [
    "老年人",
    "儿童",
    "青少年",
    "孕妇",
    "长期吸烟者",
    "久坐办公的人",
    "有家族史的人",
    "免疫力较低的人",
    "肥胖人群",
    "夜班工作者",
  ],
  organ: ["呼吸道", "消化道", "心血管系统", "泌尿系统", "关节", "皮肤", "神经系统", "内分泌系统"],
  time: ["两天", "三天", "一周", "十天", "半个月", "一个月", "三个月", "半年"],
  season: ["春季", "夏季", "秋季", "冬季", "换季时", "梅雨季节"],
};
const zhSentences = [
  () => `${pick(zh.condition)}是一种常见的疾病，主要影响${pick(zh.organ)}，${pick(zh.season)}较为多见。`,
  () => {
    const [a, b, c] = some(zh.symptom, 3);
    return `患者常有${a}、${b}和${c}等表现，轻重因人而异。`;
  },
  () => `该病多见于${pick(zh.group)}，${pick(zh.group)}也应当留意。`,
  () => {
    const [a, b] = some(zh.test, 2);
    return `医生通常会根据情况安排${a}和${b}，并结合病史作出判断。`;
  },
  () => {
    const [a, b, c] = some(zh.care, 3);
    return `日常生活中建议${a}，${b}，同时${c}。`;
  },
  () => `如果${pick(zh.symptom)}持续超过${pick(zh.time)}，或者出现明显的${pick(zh.symptom)}，应当及时就诊。`,
  () =>
    `男性，${int(18, 85)}岁，因“${pick(zh.symptom)}${int(2, 20)}天，加重${int(1, 3)}天”就诊，体温${int(36, 39)}.${int(0, 9)}℃，血压${int(105, 165)}/${int(62, 98)}mmHg。`,
  () =>
    `女性，${int(18, 85)}岁，${pick(zh.time)}前出现${pick(zh.symptom)}，伴${pick(zh.symptom)}，既往有${pick(zh.condition)}病史。`,
  () => `${pick(zh.test)}结果提示轻度异常，其余检查未见明显异常，建议${pick(zh.time)}后复查。`,
  () => `一项虚构的调查记录了${int(80, 900)}名${pick(zh.group)}，其中约${int(3, 45)}%的人曾有${pick(zh.symptom)}。`,
  () =>
    `问：${pick(zh.condition)}会引起${pick(zh.symptom)}吗？答：有可能，但${pick(zh.symptom)}也可能由别的原因引起，需要结合${pick(zh.test)}来看。`,
  () => `${pick(zh.condition)}与${pick(zh.condition)}的表现有时相似，单凭${pick(zh.symptom)}不能区分。`,
  () => `预防的重点在于${pick(zh.care)}和${pick(zh.care)}，${pick(zh.season)}尤其如此。`,
];

const en = {
  condition: [
    "the common cold",
    "influenza",
    "acute bronchitis",
    "community-acquired pneumonia",
    "asthma",
    "chronic gastritis",
    "peptic ulcer disease",
    "gastroenteritis",
    "hypertension",
    "type 2 diabetes",
    "iron deficiency anaemia",
    "allergic rhinitis",
    "migraine",
    "a urinary tract infection",
    "osteoarthritis",
    "gout",
    "shingles",
    "hypothyroidism",
    "fatty liver disease",
    "chronic kidney disease",
  ],
  symptom: [
    "fever",
    "a dry cough",
    "a productive cough",
    "a sore throat",
    "fatigue",
    "dizziness",
    "headache",
    "chest tightness",
    "shortness of breath",
    "nausea",
    "abdominal pain",
    "diarrhoea",
    "loss of appetite",
    "palpitations",
    "thirst",
    "joint swelling",
    "a rash",
    "a blocked nose",
    "frequent urination",
    "poor sleep",
  ],
  test: [
    "a full blood count",
    "C-reactive protein",
    "a chest radiograph",
    "liver function tests",
    "kidney function tests",
    "fasting glucose",
    "HbA1c",
    "an electrocardiogram",
    "abdominal ultrasound",
    "urinalysis",
    "thyroid function tests",
    "a lipid profile",
    "serum uric acid",
    "gastroscopy",
    "spirometry",
  ],
  care: [
    "resting",
    "drinking enough water",
    "eating light meals",
    "keeping regular hours",
    "giving up smoking",
    "moderate exercise",
    "watching body weight",
    "using less salt",
    "avoiding known allergens",
    "airing the room",
    "keeping follow-up appointments",
    "writing down blood pressure every day",
    "writing down blood sugar every day",
  ],
  group: [
    "older adults",
    "children",
    "teenagers",
    "pregnant women",
    "long-term smokers",
    "office workers",
    "people with a family history",
    "people with weakened immunity",
    "shift workers",
  ],
  system: [
    "the airways",
    "the digestive tract",
    "the heart and blood vessels",
    "the urinary tract",
    "the joints",
    "the skin",
    "the nervous system",
    "the endocrine system",
  ],
  time: ["two days", "three days", "a week", "ten days", "two weeks", "a month", "three months", "half a year"],
  season: ["spring", "summer", "autumn", "winter"],
};
const upper = (text) => text[0].toUpperCase() + text.slice(1);
const enSentences = [
  () =>
    `${upper(pick(en.condition))} is often described as a condition of ${pick(en.system)} and is seen more in ${pick(en.season)}.`,
  () => {
    const [a, b, c] = some(en.symptom, 3);
    return `Typical complaints are ${a}, ${b} and ${c}, but their severity differs from person to person.`;
  },
  () => `It is reported mostly in ${pick(en.group)}, although ${pick(en.group)} are not spared.`,
  () => {
    const [a, b] = some(en.test, 2);
    return `A doctor may ask for ${a} and ${b} and read them together with the history.`;
  },
  () => {
    const [a, b] = some(en.care, 2);
    return `General measures include ${a} and ${b}.`;
  },
  () =>
    `When ${pick(en.symptom)} lasts longer than ${pick(en.time)}, or ${pick(en.symptom)} appears, a visit to a doctor is advised.`,
  () =>
    `A ${int(18, 85)}-year-old man came with ${pick(en.symptom)} for ${pick(en.time)}; his temperature was ${int(36, 39)}.${int(0, 9)} °C and his blood pressure ${int(105, 165)}/${int(62, 98)} mmHg.`,
  () =>
    `A ${int(18, 85)}-year-old woman noticed ${pick(en.symptom)} and later ${pick(en.symptom)}; she had a history of ${pick(en.condition)}.`,
  () => `The result of ${pick(en.test)} was slightly abnormal and was to be repeated after ${pick(en.time)}.`,
  () =>
    `In an invented survey of ${int(80, 900)} ${pick(en.group)}, about ${int(3, 45)}% remembered ${pick(en.symptom)} in the past year.`,
  () =>
    `Question: can ${pick(en.condition)} cause ${pick(en.symptom)}? Answer: it can, but ${pick(en.symptom)} has other causes too, and ${pick(en.test)} helps to tell them apart.`,
  () => `${upper(pick(en.symptom))} alone does not separate ${pick(en.condition)} from ${pick(en.condition)}.`,
  () => `Prevention rests on ${pick(en.care)} and ${pick(en.care)}.`,
];

/** A document: a few different sentences on one line. */
const document = (sentences, separator) =>
  some(sentences, int(2, 5))
    .map((make) => make())
    .join(separator);
const documents = (count, sentences, separator) => Array.from({ length: count }, () => document(sentences, separator));
const mixed = () => [...documents(40, zhSentences, ""), ...documents(40, enSentences, " ")];

/** The files by name. */
export const pretrainTexts = () => ({
  "pretrain/synthetic-zh.txt": documents(180, zhSentences, "").join("\n") + "\n",
  "pretrain/synthetic-en.txt": documents(120, enSentences, " ").join("\n") + "\n",
  "pretrain/synthetic-mixed.jsonl": mixed()
    .map((text, id) => JSON.stringify({ id, text }) + "\n")
    .join(""),
});
