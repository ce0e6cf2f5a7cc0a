import type { components } from "./schema.js";

/** The body of every answer of the functions that is not a success: `application/problem+json`. */
export type Problem = components["schemas"]["Problem"];

/** The stable names of problems. */
export type ProblemCode = Problem["code"];

/** What is known about a request that failed. */
export interface Failure {
  /** The HTTP status. Undefined if there was no answer. */
  status?: number;
  /** How long to wait before the request is sent again, if the answer says it. */
  retryAfterMs?: number;
  /**
   * The key that the request was sent with. The outcome of a purchase without an answer is unknown: to repeat it, and not to
   * make a second one, send the same body with this key.
   */
  idempotencyKey?: string;
  cause?: unknown;
}

/** A request failed: without an answer, or with an answer that is not the functions' own, such as API Gateway's 503. */
export class RequestError extends Error {
  override readonly name: string = "RequestError";
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly idempotencyKey: string | undefined;

  constructor(message: string, failure: Failure) {
    super(message, { cause: failure.cause });
    this.status = failure.status;
    this.retryAfterMs = failure.retryAfterMs;
    this.idempotencyKey = failure.idempotencyKey;
  }
}

/** A function answered with a problem. `message` is its `detail`, a sentence that can be shown. */
export class ProblemError extends RequestError {
  override readonly name = "ProblemError";
  readonly problem: Problem;

  constructor(problem: Problem, failure: Failure) {
    super(problem.detail, failure);
    this.problem = problem;
  }

  /** The name to switch on. */
  get code(): ProblemCode {
    return this.problem.code;
  }
}

/** Whether a body is a problem of the functions. */
export function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body && "retryable" in body;
}
