/** "1 row", "2,000 rows": a number as people read it, with what it counts. @param noun of one; its plural has an s */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
