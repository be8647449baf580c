#!/usr/bin/env node
import { runCommand } from "@medgpt/core/config";

import { command } from "../dist/command.js";

process.exitCode = await runCommand(command, process.argv.slice(2));
