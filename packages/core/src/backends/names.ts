/** The names of the backends, as --backend takes them. */
export const BACKENDS = ["native", "js"] as const;

export type BackendName = (typeof BACKENDS)[number];
