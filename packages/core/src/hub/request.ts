/** Requests to the hub: the token for the hub alone, another attempt after what passes, and words for what does not. */
import { InputError } from "@medgpt/artifacts";
import { say } from "../run/say.js";
import type { HubConnection } from "./connection.js";

/** A repository at a revision, and how it is asked for. */
export interface HubSource {
  readonly type: "model" | "dataset";
  readonly id: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  readonly connection: HubConnection;
}

/** The hub did not answer, or only with passing failures; what the cache has may do instead. */
export class HubUnreachableError extends InputError {
  constructor(
    readonly problem: string,
    readonly advice: string,
    options: { place: string; cause?: unknown },
  ) {
    super(`${problem}; ${advice}`, options);
  }
}

export const ATTEMPTS = 5;

const FIRST_PAUSE_MS = 500;
/** The hub limits requests per five minutes; a longer wait is left to the user. */
const LONGEST_PAUSE_MS = 300_000;
/** For an answer's headers, and its body where that is read whole. */
const ANSWER_TIMEOUT_MS = 30_000;

/** Statuses after which the same request may succeed. */
const PASSING: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** How often a host is asked whose name does not resolve: without a network, or with a wrong address, waiting brings nothing. */
const UNRESOLVED: ReadonlyMap<string, number> = new Map([
  ["ENOTFOUND", 1],
  ["EAI_AGAIN", 2],
]);

export interface RequestOptions {
  readonly headers?: RequestInit["headers"];
  readonly attempts?: number;
  /** In place of the run's own. */
  readonly signal?: AbortSignal;
  /** Read the body too before it counts as answered. */
  readonly whole?: boolean;
}

/**
 * A successful answer to a GET. Redirects are followed, and fetch leaves the token out where one leads to another host.
 * @throws HubUnreachableError after so many attempts; InputError for a refusal, saying what to do; AbortError
 */
export async function request(source: HubSource, url: URL, options: RequestOptions = {}): Promise<Response> {
  const { context, pause } = source.connection;
  const most = options.attempts ?? ATTEMPTS;
  const signal = options.signal ?? context.signal;
  for (let attempt = 1; ; attempt++) {
    const answer = await attemptOnce(source, url, options).catch((error: unknown) => {
      signal?.throwIfAborted();
      return error as Error;
    });
    if (answer instanceof Response) {
      if (answer.ok) return answer;
      await answer.body?.cancel();
      if (!PASSING.has(answer.status)) throw refusal(source, url, answer);
    }
    const problem = answer instanceof Response ? statusOf(answer) : describeFailure(answer);
    const wait = (answer instanceof Response ? retryAfter(answer) : undefined) ?? FIRST_PAUSE_MS * 2 ** (attempt - 1);
    const attempts = Math.min(most, UNRESOLVED.get(problem) ?? most);
    if (attempt >= attempts || wait > LONGEST_PAUSE_MS) {
      const later = wait > LONGEST_PAUSE_MS ? `, and asks to wait ${Math.ceil(wait / 1000)} s` : "";
      const what = UNRESOLVED.has(problem) ? `its address is not known here: ${problem}` : problem;
      const isHub = url.origin === new URL(source.connection.endpoint).origin && !(answer instanceof Response);
      const mirror = isHub ? ", or set HF_ENDPOINT to a hub or mirror that can be reached" : "";
      const advice = `${UNRESOLVED.has(problem) ? "check the network" : "try again later"}${mirror}`;
      throw new HubUnreachableError(`${url.host} cannot be reached (${what})${later}`, advice, {
        place: placeOf(source),
        cause: answer,
      });
    }
    const text = `${placeOf(source)}: ${problem} from ${url.host}; trying again in ${(wait / 1000).toLocaleString("en")} s`;
    say(context, text, "warn");
    await pause(wait, signal);
  }
}

async function attemptOnce(source: HubSource, url: URL, options: RequestOptions): Promise<Response> {
  const { endpoint, token, context } = source.connection;
  const timeout = new AbortController();
  const signals = [timeout.signal, options.signal ?? context.signal].filter((each) => each !== undefined);
  const headers = new Headers(options.headers);
  headers.set("user-agent", "medgpt");
  // The address may come from a listing, which can name any host.
  if (token !== undefined && url.origin === new URL(endpoint).origin) headers.set("authorization", `Bearer ${token}`);
  const timer = setTimeout(() => timeout.abort(new DOMException("no answer", "TimeoutError")), ANSWER_TIMEOUT_MS);
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.any(signals) });
    if (!response.ok || options.whole !== true) return response;
    return new Response(await response.arrayBuffer(), response);
  } finally {
    clearTimeout(timer);
  }
}

/** Where a message says that it is about this repository. */
export function placeOf({ id, revision }: HubSource): string {
  return revision === "main" ? id : `${id}@${revision}`;
}

/** What fetch rejects with, in a few words. */
export function describeFailure(error: Error): string {
  const { code, message } = (error.cause ?? error) as NodeJS.ErrnoException;
  if (error.name === "TimeoutError") return "no answer in time";
  return code ?? message;
}

function statusOf(response: Response): string {
  return `${response.status} ${response.statusText}`.trim();
}

/** Milliseconds that the answer asks to wait, in seconds or as a date. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get("retry-after") ?? "";
  if (/^\d+$/.test(value)) return 1000 * Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

function refusal(source: HubSource, url: URL, response: Response): InputError {
  const { type, id, revision, connection } = source;
  const { endpoint, token } = connection;
  const page = `${endpoint}/${type === "dataset" ? "datasets/" : ""}${id}`;
  const login = "with --hf_hub_token, HF_TOKEN or the file that `hf auth login` writes";
  const code = response.headers.get("x-error-code");
  const gated = code === "GatedRepo" || response.status === 403;
  const because = ((): string => {
    if (url.origin !== new URL(endpoint).origin)
      return `${url.host} refuses (${statusOf(response)} for ${url.pathname})`;
    if (code === "RevisionNotFound")
      return `the ${type} has no revision ${JSON.stringify(revision)}; see ${page}/tree/main`;
    if (code === "EntryNotFound") return `the hub lists ${url.pathname} and does not have it; try again later`;
    if (gated && token === undefined)
      return `access to this ${type} must be granted: ask for it at ${page}, then give your access token ${login}`;
    if (gated)
      return `the access token given may not read this ${type}: ask for access at ${page}, or give another token`;
    if (response.status === 401 && token !== undefined && code === null)
      return `the hub does not accept the access token; give a valid one ${login}`;
    if (response.status === 401 || response.status === 404)
      return `no folder here and no such ${type} at ${endpoint} (revision ${revision}), or it is private; check the name${token === undefined ? `, or give an access token ${login}` : ""}`;
    return `the hub refuses (${statusOf(response)} for ${url.pathname})`;
  })();
  return new InputError(because, { place: placeOf(source) });
}
