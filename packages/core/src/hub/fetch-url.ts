import { createHash } from "node:crypto";
import { mkdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InputError, MedgptError, writeFileAtomic } from "@medgpt/artifacts";
import { say } from "../run/say.js";
import type { HubConnection } from "./connection.js";
import { ATTEMPTS, describeFailure, HubUnreachableError, request } from "./request.js";

/**
 * A file that is on no hub, in the cache beside the hub's: fetched once, and taken from there afterwards. It gets the
 * hub's patience, and never its token.
 * @throws HubUnreachableError after so many attempts; InputError for a refusal, or offline where the cache has no copy
 */
export async function fetchUrl(url: URL, connection: HubConnection): Promise<string> {
  const { cacheDir, context, offline } = connection;
  const name = basename(decodeURIComponent(url.pathname)) || "file";
  const path = join(cacheDir, "medgpt-urls", createHash("sha256").update(url.href).digest("hex").slice(0, 16), name);
  const cached = await stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
  if (cached) return path;
  if (offline)
    throw new InputError(`not in the cache ${cacheDir}; HF_HUB_OFFLINE forbids to download it: run once without`, {
      place: url.href,
    });
  say(context, `${url.href}: downloading to ${cacheDir}`);
  await mkdir(dirname(path), { recursive: true });
  const source = { type: "dataset", id: url.href, revision: "main", connection } as const;
  for (let attempt = 1; ; attempt++) {
    const response = await request(source, url);
    try {
      await writeFileAtomic(path, response.body ?? new Uint8Array());
      return path;
    } catch (error) {
      context.signal?.throwIfAborted();
      if (MedgptError.isInstance(error) || !(error instanceof TypeError)) throw error; // the disk's, not the network's
      if (attempt >= ATTEMPTS)
        throw new HubUnreachableError(
          `the connection was cut (${describeFailure(error)})`,
          "run the same command again",
          { place: url.href, cause: error },
        );
      await connection.pause(1000 * attempt, context.signal);
    }
  }
}
