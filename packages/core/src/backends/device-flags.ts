/** The flags that say what computes. */
import { z } from "zod";
import { flag, topic } from "../config/schema.js";
import { threadsFlag } from "../config/threads-flag.js";
import { BACKENDS } from "./names.js";

export const backendFlag = flag(z.enum(["auto", ...BACKENDS]), {
  default: "auto",
  help: "Compute with the native kernels, in JavaScript, or with the fastest that is there (auto).",
});

export const deviceFlags = topic("Processes and devices", {
  backend: backendFlag,
  threads: threadsFlag("Threads to compute with; by default one a core."),
});
