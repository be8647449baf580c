/** A disk that is full, and one that may only be read: a clear line, and the last checkpoint is there to go on from. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openArtifact } from "@medgpt/artifacts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkpoints, logged, snapshot, type Flags, type Toys } from "@medgpt/core/testing";
import { makeToys } from "../../packages/pretrain/src/testing/toys.js";

/** Whether this process may mount: the tests need a disk of their own. */
const canMount = ((): boolean => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const dir = mkdtempSync(join(tmpdir(), "medgpt-mount-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", dir]).status === 0;
  if (mounted) execFileSync("umount", [dir]);
  rmdirSync(dir);
  return mounted;
})();

describe.skipIf(!canMount)("a disk of its own", () => {
  let toys: Toys;
  const disks: string[] = [];
  beforeAll(async () => {
    toys = await makeToys();
  });
  afterAll(async () => {
    for (const disk of disks) execFileSync("umount", [disk]);
    await toys.remove();
  });

  function disk(name: string, kilobytes: number): string {
    const dir = toys.at(name);
    mkdirSync(dir);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kilobytes}k`, "tmpfs", dir]);
    disks.push(dir);
    return dir;
  }

  const flags: Flags = { use_peft: false, save_strategy: "steps", save_steps: 2, max_steps: 8 };
  const lastLine = (stderr: string): string | undefined => stderr.trimEnd().split("\n").at(-1);

  it("keeps the last complete checkpoint when it fills up, and the run goes on once there is room", async () => {
    const whole = await toys.run("whole", flags);
    // Room for one checkpoint (about 2 MB) and not for two.
    const full = disk("full", 3_000);
    const failed = await toys.command(toys.argv("full/run", flags));
    expect(failed.code).toBe(2);
    expect(lastLine(failed.stderr)).toMatch(
      /^error: .*full\/run\/\.checkpoint-4\.partial\/\S+\.safetensors: cannot be written \(ENOSPC.*\): free some space; what was complete is left as it was$/,
    );
    expect(readdirSync(toys.at("full/run"))).toEqual(["checkpoint-2"]);

    execFileSync("mount", ["-o", "remount,size=64m", full]);
    const resumed = await toys.command(toys.argv("full/run", { ...flags, resume_from_checkpoint: true }));
    expect(resumed.code).toBe(0);
    const [ours, theirs] = [await logged(toys.at("full/run")), await logged(whole.dir)];
    expect(ours.slice(0, -1)).toEqual(theirs.slice(0, -1));
    const weights = async (dir: string) => (await snapshot(dir))?.["model.safetensors"];
    expect(await weights(toys.at("full/run"))).toBe(await weights(whole.dir));
  });

  it("says what is full when text is tokenised into it", async () => {
    const small = disk("small", 64);
    const long = Array.from({ length: 20_000 }, () => "发热三天，咳嗽。").join("\n");
    await toys.write("long/text.txt", long);
    const argv = toys.argv("never", { train_file_dir: toys.at("long"), cache_dir: small });
    const { code, stderr } = await toys.command(argv);
    expect(code).toBe(2);
    expect(lastLine(stderr)).toMatch(
      /^error: .*small: the token cache cannot be written \(ENOSPC.*\); give a folder with --cache_dir$/,
    );
    expect(readdirSync(small)).toEqual([]);
  });

  it("is refused at once when it may only be read, with what is on it left as it is", async () => {
    const locked = disk("locked", 20_000);
    await toys.command(toys.argv("locked/run", flags));
    const before = await snapshot(locked);
    execFileSync("mount", ["-o", "remount,ro", locked]);
    const wrong: [string, Flags][] = [
      ["locked/run", { resume_from_checkpoint: true }],
      ["locked/run", { overwrite_output_dir: true }],
      ["locked/new/run", {}],
      ["free", { report_to: "tensorboard", logging_dir: join(locked, "events") }],
    ];
    for (const [output, extra] of wrong) {
      const { code, stderr } = await toys.command(toys.argv(output, { ...flags, ...extra }));
      expect(code).toBe(2);
      expect(stderr).toMatch(/^error: \S+: cannot be written \(EROFS.*\): give a folder that can be written; .*\n$/);
    }
    expect(await snapshot(locked)).toEqual(before);
    expect(await checkpoints(toys.at("locked/run"))).toEqual([2, 4, 6, 8]);
    await openArtifact(toys.at("locked/run"), "causal-lm");
  });

  it("leaves the checkpoints whole when it may only be read from the middle of a run on", async () => {
    const closing = disk("closing", 20_000);
    const run = toys.run("closing/run", flags, {
      onEvent: (event) => {
        if (event.type === "saved" && event.path.endsWith("checkpoint-4"))
          execFileSync("mount", ["-o", "remount,ro", closing]);
      },
    });
    await expect(run).rejects.toThrow(/EROFS/);
    expect(await checkpoints(toys.at("closing/run"))).toEqual([2, 4]);
    execFileSync("mount", ["-o", "remount,rw", closing]);
    const resumed = await toys.command(toys.argv("closing/run", { ...flags, resume_from_checkpoint: true }));
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain("checkpoint-4 at step 4 of 8");
  });
});
