/** A vitest reporter: writes how long every test file took, loading included, to .cache/test/files.json, the longest first. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

export default class SlowFiles {
  onTestRunEnd(modules) {
    const files = modules.map((module) => {
      const { environmentSetupDuration, prepareDuration, collectDuration, setupDuration, duration } =
        module.diagnostic();
      const all = environmentSetupDuration + prepareDuration + collectDuration + setupDuration + duration;
      return { file: module.relativeModuleId, seconds: all / 1000 };
    });
    files.sort((a, b) => b.seconds - a.seconds);
    mkdirSync(join(root, ".cache/test"), { recursive: true });
    writeFileSync(join(root, ".cache/test/files.json"), JSON.stringify(files, undefined, 1));
  }
}
