import { isProblem } from "./errors.js";

export const IDEMPOTENCY_KEY = "Idempotency-Key";

/** How often, and after which waits, a request is sent again. */
export interface RetryPolicy {
  /** The most times that a request is sent; default 4. */
  attempts?: number;
  /** A request that would have to wait longer fails instead; default 30 s. */
  longestWaitMs?: number;
}

/** Sends a request once. */
export type Send = (request: Request) => Promise<Response>;

const FIRST_BACKOFF_MS = 400;

/**
 * Sends requests again that can be repeated without harm, and whose failure may go away: those that only read, and those with an
 * idempotency key, which stays the same. It waits as long as `Retry-After` says.
 */
export function retrying(send: Send, { attempts = 4, longestWaitMs = 30_000 }: RetryPolicy): Send {
  return async (request) => {
    const isRepeatable = request.method === "GET" || request.headers.has(IDEMPOTENCY_KEY);
    for (let attempt = 1; ; attempt += 1) {
      const isLast = !isRepeatable || attempt >= attempts;
      const wait = backoffMs(attempt);
      try {
        // A body can be sent once.
        const response = await send(request.clone());
        const waitMs = Math.max(wait, retryAfterMs(response) ?? 0);
        if (response.ok || isLast || waitMs > longestWaitMs || !(await mayGoAway(response))) {
          return response;
        }
        // Frees the connection.
        await response.body?.cancel();
        await pause(waitMs, request.signal);
      } catch (error) {
        if (isLast || request.signal.aborted) {
          throw error;
        }
        await pause(wait, request.signal);
      }
    }
  };
}

/** How long an answer asks to wait: `Retry-After` in seconds, or as a date. */
export function retryAfterMs(response: Response): number | undefined {
  const value = response.headers.get("Retry-After");
  if (value === null) {
    return undefined;
  }
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}

/** Whether the same request may succeed later. API Gateway's own answers are not problems. */
async function mayGoAway(response: Response): Promise<boolean> {
  const body: unknown = await response.clone().json().catch(() => undefined);
  return isProblem(body) ? body.retryable : response.status === 429 || response.status >= 500;
}

/** Doubles with each attempt, and is random, so that clients that failed together do not come back together. */
function backoffMs(attempt: number): number {
  return FIRST_BACKOFF_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) {
      stop();
    }
  });
}
