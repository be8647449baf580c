import { totalmem } from "node:os";

/** Bytes of memory that this process can have: the machine's, or those of the container (cgroup) that it runs in. */
export function machineMemory(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}
