#!/usr/bin/env node
import { runGroup } from "@medgpt/core/config";

import { command } from "../dist/command.js";

process.exitCode = await runGroup(command, process.argv.slice(2));
