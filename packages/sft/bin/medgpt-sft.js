#!/usr/bin/env node
import { runBin } from "@medgpt/core/config";

import { command } from "../dist/command.js";

process.exitCode = await runBin(command, new URL("../package.json", import.meta.url));
