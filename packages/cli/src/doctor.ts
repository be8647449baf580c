export { command } from "@medgpt/core/doctor";
