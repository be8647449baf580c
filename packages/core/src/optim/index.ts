export { createAdamW, type AdamW, type AdamWOptions } from "./adamw.js";
export { createSchedule, SCHEDULES, warmupSteps, type ScheduleName } from "./schedule.js";
