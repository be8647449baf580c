/// <reference lib="esnext.disposable" preserve="true" />
/** What is open until it is closed, as a file. */
export interface Closable {
  close(): Promise<void>;
}

/**
 * Opens several things that belong together, so that disposing of the result closes them all; where the body fails, what it
 * had opened is closed.
 * @param body gives what it opens to `keep`
 */
export async function openTogether<T extends object>(
  body: (keep: <C extends Closable>(opened: C) => C) => Promise<T>,
): Promise<T & AsyncDisposable> {
  const all: Closable[] = [];
  const close = async (): Promise<void> => {
    for (const opened of all) await opened.close();
  };
  try {
    const result = await body((opened) => (all.push(opened), opened));
    return { ...result, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
