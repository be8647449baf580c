/** What the English dialogues know; see zh.mjs. */
export const topics = [
  {
    kind: "condition",
    name: "a sore throat",
    what: "A sore throat is pain or scratchiness that gets worse on swallowing. Most cases come from ordinary viruses and settle within a week without antibiotics.",
    detail:
      "The throat looks red, the neck glands may be tender and the voice hoarse. A runny nose and cough point to a virus; high fever without cough makes a bacterial infection more likely.",
    do: [
      "sip warm or cool drinks through the day",
      "gargle with warm salty water",
      "take a simple painkiller at the dose on the packet",
    ],
    avoid: ["do not smoke or sit in smoky rooms", "do not start antibiotics left over from an earlier illness"],
    seek: "See a doctor if the pain lasts more than a week. Call for help at once if you drool, cannot swallow fluids or find it hard to breathe.",
  },
  {
    kind: "condition",
    name: "low back pain",
    what: "Low back pain is discomfort between the ribs and the hips. It usually comes from muscles and ligaments, and nine people in ten improve within six weeks.",
    detail:
      "It is often stiff in the morning, sharp on bending and eased by changing position. Long sitting, lifting with a twist, weak core muscles and stress all play a part.",
    do: [
      "keep walking and doing light tasks",
      "use a warm pack for fifteen minutes",
      "add gentle stretching as the pain eases",
    ],
    avoid: ["do not stay in bed for days", "do not lift heavy things with straight knees"],
    seek: "Numbness around the groin, trouble passing urine, weak legs, fever or pain after a serious fall are warning signs, so get medical help the same day.",
  },
  {
    kind: "condition",
    name: "heartburn",
    what: "Heartburn is a burning feeling behind the breastbone caused by stomach acid rising into the gullet, typically after a large meal or when lying down.",
    detail:
      "Some people also taste acid, burp a lot or cough at night. Extra weight, pregnancy, alcohol, chocolate and tight belts make the valve above the stomach leak more.",
    do: [
      "eat smaller meals and chew slowly",
      "raise the head of the bed on blocks",
      "lose a little weight if you carry too much",
    ],
    avoid: ["do not eat in the three hours before bed", "do not rely on antacids every day for months"],
    seek: "Food that sticks, black stools, vomiting blood or weight loss needs prompt tests. Chest pressure with sweating may be the heart: call an ambulance.",
  },
  {
    kind: "condition",
    name: "food poisoning",
    what: "Food poisoning is an upset of the gut after eating something spoiled by germs or their toxins. It starts within hours or days and is usually over in two or three.",
    detail:
      "Expect cramps, vomiting, loose stools and sometimes a mild fever. Undercooked chicken, rice kept warm too long and unwashed salad are frequent sources.",
    do: [
      "take small sips of oral rehydration solution",
      "rest until the vomiting stops",
      "return to plain foods such as toast or rice",
    ],
    avoid: [
      "do not prepare food for others until you are well",
      "do not take strong anti-diarrhoeal tablets with a fever",
    ],
    seek: "Blood in the stool, no urine for eight hours, confusion or symptoms beyond three days call for a doctor, and sooner in babies, older adults and pregnancy.",
  },
  {
    kind: "condition",
    name: "hay fever",
    what: "Hay fever is an allergy to pollen that inflames the nose and eyes. It returns in the same season each year and is not an infection, so nobody catches it.",
    detail:
      "Sneezing fits, an itchy palate, watery eyes and a clear runny nose are typical, worse on dry windy days. Unlike a cold it brings no fever and can go on for weeks.",
    do: [
      "rinse the nose with salt water after being outdoors",
      "start a steroid nose spray before the season",
      "shower and change clothes in the evening",
    ],
    avoid: ["do not dry laundry outside on high pollen days", "do not drive after tablets that make you drowsy"],
    seek: "Wheezing, chest tightness or symptoms that spoil sleep despite treatment deserve an appointment; ask whether you should be tested for asthma or offered desensitisation.",
  },
  {
    kind: "condition",
    name: "insomnia",
    what: "Insomnia means having the chance to sleep but failing to fall asleep, stay asleep or wake refreshed, often enough that the next day suffers.",
    detail:
      "Worry, pain, shift work, late coffee and bright screens are common reasons. Lying awake trains the brain to link bed with effort, which keeps the problem going.",
    do: [
      "get up at the same hour every day",
      "leave the bed when you cannot sleep and do something dull",
      "dim the lights an hour before bedtime",
    ],
    avoid: ["do not use alcohol as a sleeping aid", "do not nap late in the afternoon"],
    seek: "If it lasts three months, or someone notices that you stop breathing at night, ask for an assessment; talking therapy for insomnia works better than tablets in the long run.",
  },
  {
    kind: "condition",
    name: "high blood pressure",
    what: "High blood pressure means that the force on artery walls stays at or above 140/90 in the clinic. It is common, lasts for life and responds well to treatment.",
    detail:
      "Most people feel nothing at all, which is why it is found at check-ups. Over years it strains the heart, narrows brain and kidney vessels and harms the retina.",
    do: [
      "measure at home after five quiet minutes",
      "cut salt to about a teaspoon a day",
      "walk briskly on most days of the week",
    ],
    avoid: [
      "do not stop tablets because the reading looks fine",
      "do not take decongestants without asking a pharmacist",
    ],
    seek: "A reading above 180/110 with headache, chest pain, blurred sight or weakness on one side is an emergency. Book a visit if home averages stay above 135/85.",
  },
  {
    kind: "condition",
    name: "type 2 diabetes",
    what: "Type 2 diabetes is a condition in which the body resists insulin, so sugar stays in the blood. Weight, inactivity and family history raise the chance of it.",
    detail:
      "Thirst, passing water often, tiredness and slow healing are clues, yet many learn of it from a routine test. Eyes, kidneys, nerves and feet suffer when control is poor.",
    do: [
      "fill half of the plate with vegetables",
      "take medicines at regular times",
      "look at your feet every evening for cuts",
    ],
    avoid: ["do not walk barefoot", "do not swap prescribed tablets for herbal remedies"],
    seek: "Vomiting, deep breathing, drowsiness or glucose that stays very high needs urgent care. A foot wound that is not healing after two days should be seen too.",
  },
  {
    kind: "condition",
    name: "chronic bronchitis",
    what: "Chronic bronchitis is a long-lasting cough with phlegm on most days for three months in two years running. Smoking is by far the main cause.",
    detail:
      "Breathlessness creeps up, winter brings flare-ups, and the chest may whistle. A breathing test called spirometry shows how much the airways have narrowed.",
    do: [
      "give up tobacco with support",
      "keep flu and pneumonia vaccinations current",
      "join a lung rehabilitation class",
    ],
    avoid: ["do not go out in heavy smog without need", "do not skip inhalers on good days"],
    seek: "Phlegm that turns green, swollen ankles or more breathlessness than usual means a flare-up; blue lips, drowsiness or being too breathless to talk is an emergency.",
  },
  {
    kind: "condition",
    name: "osteoarthritis",
    what: "Osteoarthritis is wear and repair of a joint in which cartilage thins and bone thickens. Knees, hips and finger joints are affected most, usually after fifty.",
    detail:
      "Pain comes with use and settles with rest, stiffness after sitting passes in minutes, and the joint may creak. Blood tests are normal, unlike in rheumatoid disease.",
    do: [
      "strengthen the muscles around the joint",
      "choose swimming or cycling for exercise",
      "lose some weight to unload knees and hips",
    ],
    avoid: ["do not rest the joint for weeks", "do not squat or kneel for long periods"],
    seek: "A joint that becomes hot, red and very swollen within hours, locks, or wakes you every night needs a doctor rather than more painkillers.",
  },
  {
    kind: "condition",
    name: "heart failure",
    what: "Heart failure means that the heart pumps less well than the body needs. It has not stopped; with medicines many people live active lives for years.",
    detail:
      "Fluid gathers, so ankles swell, stairs leave you breathless and lying flat is uncomfortable. Past heart attacks, high pressure and valve disease are usual causes.",
    do: [
      "weigh yourself each morning and write it down",
      "follow the salt and fluid limits you were given",
      "take every medicine even when you feel well",
    ],
    avoid: [
      "do not take ibuprofen-like painkillers",
      "do not use salt substitutes before asking the clinic, as many contain potassium",
    ],
    seek: "Call the clinic if weight rises by two kilos in three days. Sudden breathlessness at rest, fainting or pink frothy phlegm calls for an ambulance.",
  },
  {
    kind: "condition",
    name: "iron deficiency anaemia",
    what: "Iron deficiency anaemia is a shortage of red pigment because the body has run out of iron, so the blood carries less oxygen than it should.",
    detail:
      "Tiredness, pale skin, a racing pulse, brittle nails and a craving for ice are typical. Heavy periods, slow bleeding in the gut and a poor diet are the leading causes.",
    do: [
      "take iron tablets as prescribed, if possible between meals",
      "eat red meat, lentils or fortified cereal",
      "add fruit rich in vitamin C to the meal",
    ],
    avoid: ["do not drink tea with iron tablets", "do not stop as soon as you feel better, since stores refill slowly"],
    seek: "Men and women past the menopause need the gut checked for bleeding. Black sticky stools, chest pain or fainting should be dealt with the same day.",
  },
  {
    kind: "condition",
    name: "morning sickness",
    what: "Morning sickness is the nausea of early pregnancy. It begins around week six, can come at any hour and fades by about week sixteen in most women.",
    detail:
      "Smells, hunger, heat and tiredness set it off. It does not harm the baby; a severe form with constant vomiting and weight loss is called hyperemesis.",
    do: [
      "nibble a dry biscuit before getting up",
      "eat little and often, mostly cold plain food",
      "drink between meals and not with them",
    ],
    avoid: ["do not let the stomach become empty", "do not buy anti-sickness tablets without asking your midwife"],
    seek: "Ring the maternity unit if you keep nothing down for a day, pass dark urine, feel faint or lose weight, because fluids by drip may be needed.",
  },
  {
    kind: "condition",
    name: "ankle swelling in pregnancy",
    what: "Ankle swelling in pregnancy is common in the last three months, because the body holds more water and the womb slows the return of blood from the legs.",
    detail:
      "Harmless swelling is equal on both sides, grows through the day and is better after a night in bed. Hot weather and long standing make it more visible.",
    do: [
      "put your feet up above heart level several times a day",
      "wear comfortable flat shoes",
      "circle and bend the ankles while sitting",
    ],
    avoid: ["do not take water tablets", "do not cut down on drinking"],
    seek: "Sudden puffiness of face or hands with headache, flashing lights or pain below the ribs can be pre-eclampsia; one painful swollen calf may be a clot. Go in at once.",
  },
  {
    kind: "condition",
    name: "chickenpox",
    what: "Chickenpox is a very catching viral illness of childhood with an itchy rash. One attack nearly always protects for life, and a vaccine exists.",
    detail:
      "Spots turn into blisters and then crusts, with all three stages seen together. It spreads from two days before the rash until the last blister has dried.",
    do: [
      "cut the child's nails short",
      "use cool baths and calamine to soothe the itch",
      "offer plenty to drink and soft food",
    ],
    avoid: ["do not give ibuprofen or aspirin", "do not send the child to school until all spots have crusted"],
    seek: "Skin that becomes hot and painful, drowsiness, a stiff neck or fast breathing needs urgent review. Pregnant contacts and newborn babies should be discussed with a doctor.",
  },
  {
    kind: "condition",
    name: "croup",
    what: "Croup is swelling around the voice box in young children, mostly from a virus. The barking cough sounds alarming but is usually over in two or three nights.",
    detail:
      "A cold comes first, then at night a seal-like cough, a hoarse voice and a harsh noise on breathing in. Crying and fear narrow the airway further.",
    do: [
      "sit the child upright and keep everyone calm",
      "let them breathe cool air at an open window",
      "give small drinks and paracetamol for discomfort",
    ],
    avoid: ["do not use hot steam, which causes scalds", "do not look into the throat with a spoon"],
    seek: "Noise at rest, drawing in of the ribs, drooling, blue lips or exhaustion means the airway is closing: call an ambulance without delay.",
  },
  {
    kind: "condition",
    name: "nappy rash",
    what: "Nappy rash is sore red skin where wet or dirty nappies have touched it. Almost every baby has it at some time, and it clears in a few days with care.",
    detail:
      "Plain rash spares the folds of the groin; bright red patches with small spots around them suggest thrush. Diarrhoea, new foods and antibiotics often start it.",
    do: [
      "change the nappy as soon as it is wet",
      "clean with plain water and pat dry",
      "spread a thin layer of barrier cream",
    ],
    avoid: ["do not use scented wipes or talcum powder", "do not put plastic pants over the nappy"],
    seek: "Ask a nurse or pharmacist if it is no better after a week. Blisters, pus, fever or a baby in distress should be examined sooner.",
  },
  {
    kind: "condition",
    name: "dementia",
    what: "Dementia is a lasting decline in memory and thinking that interferes with daily life. Alzheimer disease is the most frequent type, and it is not normal ageing.",
    detail:
      "Early on a person repeats questions, loses the thread of a story, gets lost on known routes or struggles with bills. Mood and personality can alter before memory does.",
    do: [
      "keep a simple routine with notes and a large calendar",
      "check hearing and eyesight",
      "arrange legal and driving matters early",
    ],
    avoid: ["do not argue about mistaken beliefs", "do not leave the cooker or medicines unguarded"],
    seek: "Confusion that comes on within hours or days is not dementia but often infection or a drug effect, so it has to be assessed urgently.",
  },
  {
    kind: "condition",
    name: "a panic attack",
    what: "A panic attack is a surge of intense fear with bodily alarm that peaks within ten minutes. It feels dangerous, yet the attack itself does no damage.",
    detail:
      "The heart pounds, hands tingle, the chest is tight and you may feel unreal or about to die. Coffee, lack of sleep and fear of the next attack make it likelier.",
    do: [
      "breathe out slowly for twice as long as you breathe in",
      "name five things that you can see",
      "stay where you are until it passes",
    ],
    avoid: ["do not breathe into a plastic bag", "do not avoid every place where it happened"],
    seek: "A first attack with chest pain should be checked to rule out the heart. If attacks recur or limit your life, cognitive behavioural therapy helps most people.",
  },
  {
    kind: "condition",
    name: "burnout",
    what: "Burnout is exhaustion from stress at work that has gone on too long. It shows as tiredness, distance from the job and a sense of achieving nothing.",
    detail:
      "Sleep turns poor, small tasks feel huge, temper shortens and colds keep coming. It overlaps with depression, which differs by reaching into every part of life.",
    do: [
      "talk to your manager about workload",
      "protect one evening and one full day for rest",
      "take up again a hobby that you dropped",
    ],
    avoid: ["do not answer mail at night", "do not numb the stress with alcohol"],
    seek: "Low mood on most days for two weeks, or thoughts that life is not worth living, means speaking to a doctor or a crisis line today.",
  },
  {
    kind: "firstAid",
    name: "a bee sting",
    what: "A bee sting injects a little venom, so the skin burns, reddens and swells for a day or two. Only a small minority of people are allergic to it.",
    detail:
      "A normal reaction stays around the sting; a large one may cover the forearm. Hives far from the site, swollen lips or wheezing are signs of anaphylaxis.",
    do: [
      "scrape the sting out quickly with a nail or card",
      "wash the skin with soap and water",
      "hold a cold pack on it for ten minutes",
    ],
    avoid: ["do not squeeze the venom sac with tweezers", "do not scratch the swelling"],
    seek: "Trouble breathing, a swollen tongue, collapse or a sting inside the mouth needs an ambulance and, where there is one, an adrenaline pen straight away.",
  },
  {
    kind: "firstAid",
    name: "a small cut",
    what: "A small cut is a break of the upper skin that bleeds for a few minutes. Cleaning it properly matters more than any cream in preventing infection.",
    detail:
      "Edges that lie together heal within a week. Gaping wounds, those over joints or from dirty metal and bites carry more risk and may have to be closed or given antibiotics.",
    do: [
      "press a clean cloth on it until the bleeding stops",
      "rinse it under running water",
      "cover it with a plaster and change that daily",
    ],
    avoid: ["do not pour alcohol into the wound", "do not pull out an object that is deeply stuck"],
    seek: "Bleeding beyond ten minutes of firm pressure, numb fingers, spreading redness or no tetanus jab in ten years are reasons to visit a clinic.",
  },
  {
    kind: "firstAid",
    name: "a broken bone",
    what: "A broken bone, or fracture, is a crack through part or all of a bone. Without an X-ray it can look just like a bad sprain, so treat doubt as a break.",
    detail:
      "Swelling, an odd shape, grating, and pain when the limb is touched or loaded are typical. Older people can break a hip or wrist in a simple fall.",
    do: [
      "keep the limb still in the position found",
      "support it with padding or a sling",
      "cool the area with a wrapped ice pack",
    ],
    avoid: ["do not try to straighten it", "do not give food or drink in case surgery is needed"],
    seek: "Call an ambulance for bone through the skin, a cold or numb hand or foot, or an injured neck, back, hip or thigh; others can go to casualty by car.",
  },
  {
    kind: "firstAid",
    name: "fainting",
    what: "Fainting is a short blackout because blood pressure drops and the brain gets too little blood. People come round within a minute or so of lying flat.",
    detail:
      "Heat, standing long, pain, the sight of blood or getting up fast bring it on. Warning signs are sweating, nausea, tunnel vision and ringing in the ears.",
    do: [
      "lay the person down and raise the legs",
      "loosen tight clothing and let in fresh air",
      "let them sit up slowly after ten minutes",
    ],
    avoid: ["do not slap the face or throw water", "do not hold the person upright"],
    seek: "If they do not wake within two minutes, hurt their head, have chest pain, are pregnant or fainted during exercise, ring for emergency help.",
  },
  {
    kind: "firstAid",
    name: "a seizure",
    what: "A seizure is a burst of uncontrolled electrical activity in the brain. The body stiffens and jerks, and in most cases it ends by itself within three minutes.",
    detail:
      "The person may cry out, turn blue around the mouth or wet themselves, then be drowsy and muddled. Missed tablets, fever in toddlers and lack of sleep are frequent triggers.",
    do: [
      "move hard objects away and cushion the head",
      "note the time it began",
      "roll them on to their side when the jerking stops",
    ],
    avoid: ["do not put anything between the teeth", "do not hold the limbs down"],
    seek: "Dial the emergency number if it goes beyond five minutes, repeats, happens in water, is the first one ever or leaves breathing difficult.",
  },
  {
    kind: "firstAid",
    name: "a chemical splash in the eye",
    what: "A chemical splash in the eye, from cleaner, lime or battery acid for example, can scar the cornea. Rinsing in the first minute decides much of the outcome.",
    detail:
      "The eye stings, waters and shuts by reflex, and sight may blur. Alkalis such as drain cleaner go deeper than acids even if the pain seems mild.",
    do: [
      "hold the eye open under gently running tap water for twenty minutes",
      "remove contact lenses while rinsing",
      "tilt the head so that water runs away from the other eye",
    ],
    avoid: ["do not rub the eye", "do not use drops to neutralise the chemical"],
    seek: "After rinsing go straight to an eye casualty and take the bottle or its label along, even when the pain has already gone.",
  },
  {
    kind: "medicine",
    name: "paracetamol",
    what: "Paracetamol is a painkiller that also lowers fever. It suits headaches, colds and aching joints, and it is found inside many combined cold remedies.",
    detail:
      "At the right dose side effects are rare. Too much damages the liver, and the first day after an overdose may bring no symptoms at all, which is treacherous.",
    do: [
      "read the strength and the daily limit on the box",
      "leave at least four hours between doses",
      "count what is in cold powders as well",
    ],
    avoid: ["do not exceed the stated amount in a day", "do not combine two products that contain it"],
    seek: "Anyone who has taken more than the limit must go to hospital at once, feeling well or not. Fever that lasts beyond three days should be looked into.",
  },
  {
    kind: "medicine",
    name: "antihistamines",
    what: "Antihistamines block histamine, the messenger behind sneezing, itching and hives. They ease hay fever, insect bites and mild allergic rashes within an hour or so.",
    detail:
      "Older ones make people sleepy and dry the mouth; newer ones do so far less. They relieve symptoms without removing the allergy, so the effect ends with the tablet.",
    do: [
      "choose a non-drowsy type for daytime",
      "take it before you meet the allergen where you can",
      "ask a pharmacist about age limits for children",
    ],
    avoid: ["do not drive if you feel sleepy", "do not mix the sedating ones with alcohol"],
    seek: "They are not enough for swelling of the throat or wheezing, which needs adrenaline. See a doctor too if hives return for six weeks.",
  },
  {
    kind: "medicine",
    name: "statins",
    what: "Statins lower LDL cholesterol by slowing its production in the liver. Taken for years they cut the risk of heart attack and stroke by roughly a quarter or more.",
    detail:
      "Most users notice nothing. Some have aching muscles or a mild rise in liver enzymes, and a small number develop diabetes a little earlier than they would have.",
    do: [
      "take the tablet at the same time each day",
      "have a blood test after about three months",
      "keep up diet and exercise alongside",
    ],
    avoid: ["do not drink grapefruit juice with some types", "do not quit because your numbers have become good"],
    seek: "Severe muscle pain or weakness, dark brown urine or yellow eyes should be reported right away. Tell the doctor if you plan a pregnancy.",
  },
  {
    kind: "medicine",
    name: "a reliever inhaler",
    what: "A reliever inhaler opens narrowed airways within minutes in asthma. It treats the moment, whereas a preventer inhaler calms the inflammation underneath.",
    detail:
      "Shaky hands and a fast pulse for a short while are common. Needing it more than twice a week suggests that the asthma is not under control.",
    do: [
      "shake it and breathe out fully first",
      "press and breathe in slowly, then hold for ten seconds",
      "use a spacer if you have one",
    ],
    avoid: ["do not let it run out or leave it at home", "do not use it instead of the preventer"],
    seek: "If ten puffs bring no relief, or you cannot finish a sentence, dial the emergency number and keep taking a puff every minute while you wait.",
  },
  {
    kind: "medicine",
    name: "warfarin",
    what: "Warfarin makes blood clot more slowly. It prevents strokes in some heart rhythm and valve problems, and its effect is followed by a test called the INR.",
    detail:
      "Bruises and bleeding gums can appear when the level is high. Antibiotics, alcohol and sudden changes in leafy vegetables all shift the result up or down.",
    do: [
      "take it at the same time every evening",
      "keep a record of doses and INR results",
      "carry an alert card with you",
    ],
    avoid: ["do not take aspirin or ibuprofen on your own", "do not double up after a missed dose"],
    seek: "A blow to the head, black stools, blood in urine or a nosebleed that will not stop must be treated as urgent, however well you feel.",
  },
  {
    kind: "lab",
    name: "the HbA1c test",
    what: "The HbA1c test shows average blood sugar over the past two to three months, because glucose sticks to the pigment of red cells while they live.",
    detail:
      "Below 42 is usual, 42 to 47 means raised risk, and 48 mmol/mol or more on two tests suggests diabetes. Anaemia and recent blood loss can mislead.",
    do: [
      "have it done at any time, since fasting is not needed",
      "ask what your personal target is",
      "compare it with earlier results",
    ],
    avoid: ["do not change tablets on your own after one value", "do not expect a week of dieting to move it"],
    seek: "A result of 48 or more, or a rise between two visits, is worth discussing soon; thirst with weight loss should not wait for the next appointment.",
  },
  {
    kind: "lab",
    name: "a cholesterol test",
    what: "A cholesterol test measures fats in the blood: LDL, which builds up in arteries, HDL, which carries fat away, and triglycerides, which follow meals and alcohol.",
    detail:
      "High LDL runs in families and rises with saturated fat. The figure is read along with age, smoking, pressure and diabetes to estimate risk over ten years.",
    do: [
      "eat as you normally do in the days before",
      "ask whether you should fast",
      "tell the doctor about heart disease in the family",
    ],
    avoid: ["do not drink alcohol on the evening before", "do not judge by the total alone"],
    seek: "An LDL above 4.9, or early heart attacks among relatives, calls for a visit, as inherited high cholesterol can be treated from a young age.",
  },
  {
    kind: "lab",
    name: "a thyroid test",
    what: "A thyroid test usually begins with TSH, the signal from the brain that tells the gland how hard to work. It helps to explain tiredness or changes in weight.",
    detail:
      "High TSH points to a slow gland, low TSH to an overactive one. Pregnancy, biotin tablets and severe illness can distort the picture for a time.",
    do: [
      "mention every supplement that you take",
      "have the blood drawn before the morning thyroid tablet",
      "repeat slightly abnormal values after some weeks",
    ],
    avoid: ["do not take iodine drops to fix a result", "do not alter thyroxine by yourself"],
    seek: "A lump in the neck, a racing heart, marked weight change or a planned pregnancy with an abnormal result should lead to an appointment.",
  },
  {
    kind: "lab",
    name: "a creatinine test",
    what: "A creatinine test checks how well the kidneys clear waste from muscles. The laboratory turns it into an estimated filtration rate, or eGFR, with age and sex.",
    detail:
      "An eGFR above 90 is normal and below 60 for three months means chronic kidney disease. Big muscles, a steak dinner or dehydration can raise creatinine briefly.",
    do: [
      "drink normally on the day",
      "bring a list of all painkillers you use",
      "give a urine sample for protein at the same visit",
    ],
    avoid: ["do not eat a large meat meal the night before", "do not train hard just before the test"],
    seek: "A fall by a quarter since last time, foamy urine, swollen legs or very little urine should be followed up within days, not months.",
  },
  {
    kind: "lab",
    name: "a home blood pressure reading",
    what: "A home blood pressure reading gives two numbers, the pressure when the heart squeezes and when it rests. An average of several days tells more than one value.",
    detail:
      "Talking, a full bladder, crossed legs, coffee or a cuff that is too small can add ten points. Many people read higher in a clinic than at home.",
    do: [
      "sit with your back supported for five minutes",
      "rest the arm on a table at heart height",
      "take two readings a minute apart, morning and evening",
    ],
    avoid: ["do not measure right after exercise or smoking", "do not round the figures down"],
    seek: "An average of 135/85 or more over a week is a reason to book; below 90/60 with dizziness, or above 180/110, deserves a call today.",
  },
  {
    kind: "nutrition",
    name: "vitamin D",
    what: "Vitamin D helps the gut absorb calcium, and so keeps bones and muscles strong. The skin makes it in summer sun; food alone seldom provides enough.",
    detail:
      "Oily fish, egg yolk and fortified milk contain some. People with covered or dark skin, those over sixty-five and anyone mostly indoors are likely to run low.",
    do: [
      "spend short spells outdoors in the warm months",
      "consider a daily supplement of 10 micrograms in winter",
      "eat oily fish once or twice a week",
    ],
    avoid: ["do not take very high doses", "do not let the skin burn for the sake of it"],
    seek: "Bone pain, weak thighs, kidney stones or kidney disease should be discussed before you take more than the usual daily amount.",
  },
  {
    kind: "nutrition",
    name: "protein",
    what: "Protein supplies the building blocks for muscle, skin and enzymes. Adults need about 0.8 grams per kilo of weight a day, and older people a little more.",
    detail:
      "Fish, eggs, poultry, dairy, beans, tofu and nuts are good sources. Mixing grains with pulses gives vegetarians all the amino acids that the body cannot make.",
    do: [
      "include a palm-sized portion at each meal",
      "swap processed meat for beans or fish",
      "combine it with strength exercise in later life",
    ],
    avoid: ["do not live on shakes instead of meals", "do not crowd vegetables off the plate"],
    seek: "People with kidney disease, and those who lose weight without trying, should ask a doctor or dietitian how much is right for them.",
  },
  {
    kind: "nutrition",
    name: "folic acid",
    what: "Folic acid is the tablet form of folate, a B vitamin for making new cells. Around conception it lowers the chance of spinal defects such as spina bifida.",
    detail:
      "Leafy greens, beans, oranges and fortified flour provide folate, but cooking destroys part of it. That is why a supplement is advised in early pregnancy.",
    do: [
      "start 400 micrograms a day while trying for a baby",
      "continue until week twelve",
      "steam greens lightly to keep the vitamin",
    ],
    avoid: ["do not wait for a positive test to begin", "do not use it to treat tiredness without checking B12"],
    seek: "Women with epilepsy tablets, diabetes, a high body weight or an affected earlier pregnancy may be prescribed a larger dose, so ask beforehand.",
  },
  {
    kind: "nutrition",
    name: "sugar",
    what: "Sugar added to food gives energy and nothing else. Too much of it leads to weight gain and tooth decay, and adults do best with under 30 grams a day.",
    detail:
      "Soft drinks, breakfast cereals, sauces and flavoured yoghurt hide more than most people think. Honey, syrup and juice count too; whole fruit does not.",
    do: [
      "drink water or unsweetened tea",
      "compare the per 100 grams column on labels",
      "cut the amount in recipes by a third",
    ],
    avoid: ["do not sip sweet drinks between meals", "do not use treats to calm a child"],
    seek: "Constant thirst, recurring thrush, painful teeth or a strong family history of diabetes is a reason to ask for a check-up with a glucose test.",
  },
  {
    kind: "organ",
    name: "the lungs",
    what: "The lungs are two spongy organs in the chest that pass oxygen into the blood and carbon dioxide out through some three hundred million tiny air sacs.",
    detail:
      "Asthma, pneumonia, chronic bronchitis and cancer are the main illnesses. Smoke, dust and some infections cause most of the harm, often long before it is felt.",
    do: [
      "exercise until you are slightly out of breath",
      "air the kitchen while cooking",
      "wear a mask when sanding or spraying",
    ],
    avoid: ["do not smoke or vape", "do not ignore a cough that has changed"],
    seek: "Cough beyond three weeks, blood in phlegm, hoarseness or unusual breathlessness should be examined; sudden chest pain with breathlessness is an emergency.",
  },
  {
    kind: "organ",
    name: "the pancreas",
    what: "The pancreas lies behind the stomach. It pours digestive juice into the bowel and releases insulin and glucagon, which keep blood sugar in balance.",
    detail:
      "It can become inflamed, mostly through gallstones or alcohol, and it fails to make insulin in type 1 diabetes. Its tumours are hard to notice early.",
    do: ["keep alcohol low or leave it out", "eat a varied diet with little fried food", "stay at a healthy weight"],
    avoid: ["do not smoke, as it doubles the risk of cancer there", "do not crash diet, which favours gallstones"],
    seek: "Severe pain in the upper belly going through to the back, yellow skin, or pale greasy stools with weight loss needs medical attention soon.",
  },
  {
    kind: "organ",
    name: "the skin",
    what: "The skin is the largest organ. It keeps germs out and water in, steers body temperature through sweat and blood flow, and lets us feel touch and pain.",
    detail:
      "Eczema, acne, fungal infections and skin cancer are frequent troubles. Ultraviolet light ages it and is the chief cause of cancers, even on cloudy days.",
    do: [
      "use sunscreen of factor 30 or higher",
      "moisturise after washing, while it is still damp",
      "look over your moles once a month",
    ],
    avoid: ["do not use sunbeds", "do not scrub with harsh soap"],
    seek: "A mole that is uneven, changes colour, grows, bleeds or looks unlike the others should be shown to a doctor within a couple of weeks.",
  },
  {
    kind: "visit",
    name: "a flu vaccination",
    what: "A flu vaccination prepares the immune system for the strains expected this winter. It is repeated each autumn because the virus keeps changing.",
    detail:
      "A tender arm and a day of tiredness are usual. The injected vaccine holds no live virus, so it cannot give you flu; protection takes two weeks to build.",
    do: ["book early in autumn", "wear a top with loose sleeves", "tell the nurse about allergies and blood thinners"],
    avoid: ["do not come with a high fever", "do not skip it because you are fit"],
    seek: "Stay fifteen minutes afterwards and call out if you feel faint or short of breath. A severe reaction to an earlier dose must be discussed first.",
  },
  {
    kind: "visit",
    name: "a doctor's appointment",
    what: "A doctor's appointment is a short meeting to find out what is wrong and agree on a plan. Ten minutes go further when you arrive with notes.",
    detail:
      "Expect questions about symptoms, past illness, medicines and habits, then an examination, and perhaps tests. You may bring a relative and ask for plain words.",
    do: [
      "write down your three most important questions",
      "bring all packets of medicine",
      "repeat the plan back before you leave",
    ],
    avoid: ["do not save the main worry for the last minute", "do not hide alcohol, drugs or missed doses"],
    seek: "Chest pain, stroke signs, heavy bleeding or severe breathlessness must not wait for a free slot; ring the emergency number instead of the practice.",
  },
  {
    kind: "visit",
    name: "a tetanus booster",
    what: "A tetanus booster renews protection against a toxin from soil bacteria that locks the muscles. Five doses in life are generally considered enough.",
    detail:
      "The upper arm is sore for a couple of days and a small lump may stay for weeks. Dirty wounds, bites and rusty nails are the situations where it is checked.",
    do: [
      "look up the date of your last dose",
      "clean any wound before you travel to the clinic",
      "keep the record card with your papers",
    ],
    avoid: ["do not assume that a clean-looking puncture is safe", "do not delay more than a day after a dirty wound"],
    seek: "A stiff jaw, trouble swallowing or muscle spasms in the weeks after an injury is an emergency even if the wound has healed.",
  },
  {
    kind: "term",
    name: "a biopsy",
    what: "A biopsy means taking a small piece of tissue to look at under the microscope. It is the surest way to learn whether a lump is harmless or not.",
    detail:
      "It may be done with a needle, a punch or during endoscopy, mostly with local numbing. Having one does not mean that cancer has been found.",
    do: [
      "ask when and how you will get the result",
      "report blood thinners beforehand",
      "keep the dressing dry for a day",
    ],
    avoid: ["do not search the report word by word online", "do not cancel because the lump feels smaller"],
    seek: "Fever, pus, bleeding that soaks the dressing or growing pain afterwards should be reported to the unit that carried it out.",
  },
  {
    kind: "term",
    name: "remission",
    what: "Remission means that the signs of a disease have gone down or vanished. It is not always a cure, because the illness may come back later.",
    detail:
      "Partial remission is a clear improvement, complete remission that nothing can be found. The word is used in cancer, arthritis, bowel disease, diabetes and depression.",
    do: ["keep the follow-up visits", "ask which treatment has to continue", "note early signs of a return"],
    avoid: ["do not stop medicines on your own", "do not read it as a promise for ever"],
    seek: "If former symptoms show up again, even mildly, tell the team before the next planned check, as early relapses are easier to treat.",
  },
];
