/** Whether a process of this machine lives, whoever's it is. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0); // signal 0 only asks
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
