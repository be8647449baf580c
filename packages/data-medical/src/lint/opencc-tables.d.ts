/** Characters with what they become, "㐷 傌|㐹 㑶|…"; opencc-js has no types for its tables. */
declare module "opencc-js/dict/*" {
  const table: string;
  export default table;
}
