/** Where the hub is, who asks it and where its files are kept: read from the variables that Python's huggingface_hub reads. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { InputError } from "@medgpt/artifacts";
import type { RunContext } from "../run/run-context.js";

export interface HubConnection {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** The folder of models--owner--name and datasets--owner--name. */
  readonly cacheDir: string;
  readonly token: string | undefined;
  /** Nothing is asked of the hub; the cache must have it all. */
  readonly offline: boolean;
  readonly context: RunContext;
  /** Waits before another attempt; an AbortError ends it early. */
  readonly pause: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
}

export interface ConnectOptions {
  /** Wins over HF_TOKEN and the token file. */
  readonly token?: string | null;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly pause?: HubConnection["pause"];
}

const ENDPOINT = "https://huggingface.co";

/**
 * Reads HF_ENDPOINT; HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME and XDG_CACHE_HOME; HF_TOKEN, HUGGING_FACE_HUB_TOKEN
 * and the file HF_TOKEN_PATH (by default HF_HOME/token); HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE. Nothing is asked of the hub.
 * @throws InputError for an endpoint that is no URL and a token that no header can carry
 */
export async function connectHub(
  context: RunContext,
  { token = null, env = process.env, pause }: ConnectOptions = {},
): Promise<HubConnection> {
  const folder = (...names: string[]): string | undefined => {
    const found = names.map((name) => env[name]).find((value) => value !== undefined && value !== "");
    return found?.replace(/^~(?=$|[\\/])/, () => homedir());
  };
  const home = folder("HF_HOME") ?? join(folder("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface");
  return {
    endpoint: checkEndpoint(env["HF_ENDPOINT"] || ENDPOINT),
    cacheDir: folder("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") ?? join(home, "hub"),
    token: checkToken(
      token ||
        env["HF_TOKEN"] ||
        env["HUGGING_FACE_HUB_TOKEN"] ||
        (await readToken(folder("HF_TOKEN_PATH") ?? join(home, "token"))),
    ),
    offline: isTrue(env["HF_HUB_OFFLINE"] || env["TRANSFORMERS_OFFLINE"]),
    context,
    pause: pause ?? (async (milliseconds, signal) => sleep(milliseconds, undefined, signal && { signal })),
  };
}

function checkEndpoint(endpoint: string): string {
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
    throw new InputError(`expected the address of a hub such as ${ENDPOINT}, got ${JSON.stringify(endpoint)}`, {
      place: "HF_ENDPOINT",
    });
  return endpoint.replace(/\/+$/, "");
}

async function readToken(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return undefined;
    throw new InputError(`the access token cannot be read (${cause.message})`, { place: path, cause });
  });
}

/** The message must not show the token. */
function checkToken(text: string | undefined): string | undefined {
  const token = text?.trim();
  if (token === undefined || token === "") return undefined;
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new InputError(
      "expected an access token of the hub, got something with blanks or characters that are not ASCII",
      {
        place: "--hf_hub_token or HF_TOKEN",
      },
    );
  return token;
}

/** As huggingface_hub reads its switches. */
function isTrue(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? "");
}
