/**
 * Dialogues in which the assistant calls a tool and reads its answer: MedicalGPT's turns function_call and observation, and the
 * tools as a JSON string.
 */

const tool = (name, description, parameters) => ({
  name,
  description,
  parameters: {
    type: "object",
    properties: Object.fromEntries(
      Object.entries(parameters).map(([key, [type, about]]) => [key, { type, description: about }]),
    ),
    required: Object.keys(parameters),
  },
});

/** @param more a question and an answer after the tool's result was told */
const call = ({ tools, ask, name, args, result, tell, more = [] }) => ({
  conversations: [
    { from: "human", value: ask },
    { from: "function_call", value: JSON.stringify({ name, arguments: args }) },
    { from: "observation", value: JSON.stringify(result) },
    { from: "gpt", value: tell },
    ...more.map((value, i) => ({ from: i % 2 === 0 ? "human" : "gpt", value })),
  ],
  tools: JSON.stringify(tools),
});

const zh = {
  bodyMass: tool("body_mass_index", "计算体重指数", {
    height_cm: ["number", "身高，厘米"],
    weight_kg: ["number", "体重，千克"],
  }),
  dueDate: tool("due_date", "由末次月经第一天推算预产期", { last_period: ["string", "日期，年-月-日"] }),
  glucose: tool("convert_glucose", "把血糖从毫克每分升换算为毫摩尔每升", { value: ["number", "毫克每分升"] }),
  slots: tool("clinic_slots", "查询门诊的空余时段", {
    department: ["string", "科室"],
    date: ["string", "日期，年-月-日"],
  }),
  interaction: tool("drug_interaction", "查询两种药的相互作用", {
    first: ["string", "药名"],
    second: ["string", "药名"],
  }),
  reminder: tool("set_reminder", "设置服药提醒", { medicine: ["string", "药名"], times: ["array", "每天的时刻"] }),
};

const en = {
  bodyMass: tool("body_mass_index", "Computes the body mass index", {
    height_cm: ["number", "height in centimetres"],
    weight_kg: ["number", "weight in kilograms"],
  }),
  range: tool("reference_range", "Looks up the usual range of a laboratory value in adults", {
    test: ["string", "name of the test"],
  }),
  heartRate: tool("target_heart_rate", "Computes the heart rate for moderate exercise", {
    age: ["integer", "age in years"],
  }),
  pharmacy: tool("open_pharmacies", "Lists pharmacies that are open now", { district: ["string", "part of the town"] }),
  vaccines: tool("vaccine_schedule", "Lists the vaccines due at an age", { age_months: ["integer", "age in months"] }),
  fluids: tool("log_fluid", "Adds a drink to today's record and returns the total", {
    millilitres: ["integer", "amount drunk"],
  }),
};

export const toolDialogues = {
  zh: [
    call({
      tools: [zh.bodyMass, zh.dueDate],
      ask: "我身高170厘米，体重65公斤，帮我算一下体重指数。",
      name: "body_mass_index",
      args: { height_cm: 170, weight_kg: 65 },
      result: { index: 22.5, category: "正常" },
      tell: "您的体重指数是22.5，处在正常范围。中国成年人一般以18.5到24之间为正常，继续保持规律的饮食和运动就好。",
      more: [
        "那体重指数能说明我身体健康吗？",
        "不能单独说明。它只反映体重和身高的关系，看不出脂肪长在哪里，也不包括血压、血糖和血脂，可以再量一量腰围，并定期体检。",
      ],
    }),
    call({
      tools: [zh.dueDate],
      ask: "末次月经是2026年1月10日，预产期大概是哪天？",
      name: "due_date",
      args: { last_period: "2026-01-10" },
      result: { due_date: "2026-10-17" },
      tell: "按末次月经推算，预产期大约在2026年10月17日。这只是估计，前后两周内分娩都很常见，早期超声可以帮助核对孕周。",
    }),
    call({
      tools: [zh.glucose, zh.interaction],
      ask: "国外的报告写空腹血糖126毫克每分升，换成国内的单位是多少？",
      name: "convert_glucose",
      args: { value: 126 },
      result: { value: 7, unit: "毫摩尔每升" },
      tell: "换算后是7.0毫摩尔每升，正好达到糖尿病的诊断界限。一次结果还不能确诊，建议改天空腹复查，并带报告去看内分泌科。",
    }),
    call({
      tools: [zh.slots, zh.reminder],
      ask: "帮我看看2026年3月5日皮肤科还有没有空余的时段。",
      name: "clinic_slots",
      args: { department: "皮肤科", date: "2026-03-05" },
      result: { slots: ["09:30", "14:00"] },
      tell: "皮肤科那天还有两个空余时段，分别是上午9点30分和下午2点。告诉我您想要哪一个，就诊时记得带上正在用的药膏。",
      more: [
        "下午2点可以，去之前脸上要注意什么？",
        "就诊当天请不要化妆，也先别涂厚的药膏，这样医生才能看清皮疹的颜色和形状。可以提前拍下发作最重时的照片。",
      ],
    }),
    call({
      tools: [zh.interaction],
      ask: "阿司匹林和布洛芬可以一起吃吗？请查一下。",
      name: "drug_interaction",
      args: { first: "阿司匹林", second: "布洛芬" },
      result: { level: "应避免", reason: "增加消化道出血风险，并可能减弱阿司匹林的作用" },
      tell: "查询结果是应当避免合用：两药同服会增加胃肠出血的风险，布洛芬还可能减弱阿司匹林保护心脏的作用。需要止痛时请问医生换哪种药。",
    }),
    call({
      tools: [zh.reminder],
      ask: "请每天早上8点和晚上8点提醒我吃二甲双胍。",
      name: "set_reminder",
      args: { medicine: "二甲双胍", times: ["08:00", "20:00"] },
      result: { status: "已设置" },
      tell: "提醒已经设好，每天早上8点和晚上8点各一次。这个药随餐吃对胃的刺激小一些，如果漏服一次，下次照常吃就行，不要加倍。",
    }),
  ],
  en: [
    call({
      tools: [en.bodyMass],
      ask: "I am 180 cm tall and weigh 90 kg. What is my body mass index?",
      name: "body_mass_index",
      args: { height_cm: 180, weight_kg: 90 },
      result: { index: 27.8, category: "overweight" },
      tell: "Your body mass index is 27.8, which counts as overweight, the range from 25 to 30. It says nothing about muscle or where fat is stored, so a waist measurement and your blood pressure would complete the picture. Losing even five percent usually helps.",
      more: [
        "How fast should I lose those five percent?",
        "Slowly is better. About half a kilo a week would bring you there in two months or so, mostly by smaller portions, fewer sweet drinks and walking daily. Speak to a doctor first if you take medicines for diabetes or blood pressure, as doses may need changing.",
      ],
    }),
    call({
      tools: [en.range, en.heartRate],
      ask: "Which potassium level is usual in a blood test?",
      name: "reference_range",
      args: { test: "potassium" },
      result: { low: 3.5, high: 5.3, unit: "mmol/L" },
      tell: "In adults potassium is usually between 3.5 and 5.3 mmol/L. Laboratories differ a little, so compare with the range printed on your own report. A value clearly outside needs a prompt call to the doctor, because it can disturb the rhythm of the heart.",
    }),
    call({
      tools: [en.heartRate],
      ask: "I am 50. Which pulse should I aim for when I walk briskly?",
      name: "target_heart_rate",
      args: { age: 50 },
      result: { low: 85, high: 119 },
      tell: "For moderate exercise at 50 the usual target lies between 85 and 119 beats a minute. A simpler guide is that you can talk but not sing. If you have heart disease or take a beta blocker, ask your doctor for a range of your own.",
    }),
    call({
      tools: [en.pharmacy, en.fluids],
      ask: "Is any pharmacy near the harbour open at this hour?",
      name: "open_pharmacies",
      args: { district: "harbour" },
      result: { open: [{ name: "Harbour Pharmacy", closes: "22:00" }] },
      tell: "Yes, Harbour Pharmacy is open and closes at 22:00. Bring your prescription and a list of what you already take. If you cannot get there in time and the medicine is urgent, an out-of-hours service or hospital can advise you about tonight's dose.",
      more: [
        "What should I ask the pharmacist about a new medicine?",
        "Ask what it is for, how and when to take it, which side effects to look out for and what to do after a missed dose. Mention allergies, pregnancy and everything else you use, herbal products included, so that clashes can be spotted.",
      ],
    }),
    call({
      tools: [en.vaccines],
      ask: "My baby is two months old. Which vaccines are due?",
      name: "vaccine_schedule",
      args: { age_months: 2 },
      result: { due: ["six-in-one", "rotavirus", "meningitis B"] },
      tell: "At two months the schedule lists the six-in-one vaccine, rotavirus drops by mouth and meningitis B. Schedules differ between countries, so confirm at your clinic. A sore leg and some fever on the first day are common; ask there whether to give paracetamol.",
    }),
    call({
      tools: [en.fluids],
      ask: "Please note that I have just drunk 300 ml of water.",
      name: "log_fluid",
      args: { millilitres: 300 },
      result: { total_millilitres: 1200 },
      tell: "Done: 300 ml added, which makes 1,200 ml today. Many adults do well with one and a half to two litres of drinks, and more in heat. If you have heart or kidney disease, keep to the limit that your doctor set for you.",
    }),
  ],
};
