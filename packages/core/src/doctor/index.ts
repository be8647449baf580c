export { command, doctorSchema } from "./command.js";
