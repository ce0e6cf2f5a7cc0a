import createClient, { type Client } from "openapi-fetch";

import { isProblem, ProblemError, RequestError } from "./errors.js";
import { IDEMPOTENCY_KEY, type RetryPolicy, retryAfterMs, retrying, type Send } from "./retry.js";
import type { components, operations, paths } from "./schema.js";

type Schemas = components["schemas"];
type Query<Operation extends keyof operations> = NonNullable<operations[Operation]["parameters"]["query"]>;

/** The filters of a search. */
export type SearchQuery = Query<"searchPhoneNumbers">;
/** The filters and the page of a list. */
export type ListQuery = Query<"listPhoneNumbers">;
/** The filters and the page of the numbers with the agents that they could have. */
export type AssignableQuery = Omit<Query<"showPhoneNumbers">, "id" | "phone_number_id" | "include_history">;
/** Whether one number is shown with its history, and with which page of it. */
export type HistoryQuery = Pick<Query<"showPhoneNumbers">, "include_history" | "limit" | "cursor">;

/** A row with its entity tag, which makes a later change conditional: `ifMatch`. */
export type Tagged<Row> = Row & { etag: string | undefined };

export interface Options extends RetryPolicy {
  /** The API's address. The names of the functions are appended: `https://….supabase.co/functions/v1`, for example. */
  baseUrl: string;
  /** Returns the user's access token. It is called before each attempt, so that a renewed session is used. */
  token: () => string | Promise<string>;
  /** Sends a request; default `fetch`. */
  fetch?: Send;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
}

export interface KeyedOptions extends CallOptions {
  /**
   * Identifies the request: with the same key and the same body, the functions do it once, however often it is sent. Without
   * it, each call has a new key, which only its own repetitions share. Keep one with the form that the user submits, and the
   * user may submit it again after a failure.
   */
  idempotencyKey?: string | undefined;
}

export interface ChangeOptions extends CallOptions {
  /** Changes the row only if it still has this entity tag; otherwise the problem is `precondition_failed`. */
  ifMatch?: string | undefined;
}

/** What openapi-fetch makes of an answer. */
interface Outcome<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/**
 * Calls the phone-number functions. A failure is a `ProblemError` if a function answered, otherwise a `RequestError`. Requests that
 * can be repeated without harm are repeated.
 */
export class PhoneNumbers {
  readonly #api: Client<paths>;

  constructor({ baseUrl, token, fetch: send = (request) => fetch(request), ...policy }: Options) {
    const authorized: Send = async (request) => {
      request.headers.set("Authorization", `Bearer ${await token()}`);
      return send(request);
    };
    this.#api = createClient<paths>({ baseUrl, fetch: retrying(authorized, policy) });
  }

  /** Searches for numbers on offer. */
  async search(query: SearchQuery, { signal }: CallOptions = {}): Promise<Schemas["SearchResult"]> {
    const { data } = await answer(this.#api.GET("/phone-numbers-search", { params: { query }, ...given({ signal }) }));
    return data;
  }

  /**
   * Buys numbers, or checks whether they could be bought. Each number of the answer has its own `outcome`; one that is `pending`
   * becomes active by itself.
   */
  async purchase(body: Schemas["PurchaseRequest"], options: KeyedOptions = {}): Promise<Schemas["PurchaseResult"]> {
    const { key, init } = keyed(options);
    const { data } = await answer(this.#api.POST("/phone-numbers-purchase", { body, ...init }), key);
    return data;
  }

  /** Lists the agency's numbers, newest first. The next page has `cursor: pagination.next_cursor`. */
  async list(query: ListQuery = {}, { signal }: CallOptions = {}): Promise<Schemas["ListPage"]> {
    const { data } = await answer(this.#api.GET("/phone-numbers-list", { params: { query }, ...given({ signal }) }));
    return data;
  }

  /** Shows one number, with its history if asked for. `id` is that of the row. */
  async show(id: string, query: HistoryQuery = {}, { signal }: CallOptions = {}): Promise<Tagged<Schemas["OneNumber"]>> {
    const params = { query: { ...query, id } };
    const outcome = await answer(this.#api.GET("/phone-numbers-assign", { params, ...given({ signal }) }));
    // With an id, the function answers with one number.
    return tagged(outcome as { data: Schemas["OneNumber"]; response: Response });
  }

  /** Shows the numbers, and the agents that they could be assigned to. */
  async assignable(query: AssignableQuery = {}, { signal }: CallOptions = {}): Promise<Schemas["AllNumbers"]> {
    const { data } = await answer(this.#api.GET("/phone-numbers-assign", { params: { query }, ...given({ signal }) }));
    // Without an id, the function answers with all numbers.
    return data as Schemas["AllNumbers"];
  }

  /** Assigns a number to an agent. */
  async assign(body: Schemas["AssignRequest"], options: ChangeOptions = {}): Promise<Tagged<Schemas["ChangedNumber"]>> {
    return tagged(await answer(this.#api.POST("/phone-numbers-assign", { body, ...conditional(options) })));
  }

  /** Changes the settings of a number. A member that is absent stays as it is. */
  async change(body: Schemas["SettingsRequest"], options: ChangeOptions = {}): Promise<Tagged<Schemas["ChangedNumber"]>> {
    return tagged(await answer(this.#api.PATCH("/phone-numbers-assign", { body, ...conditional(options) })));
  }

  /** Takes a number from its agent. `id` is that of the row. */
  async unassign(id: string, options: ChangeOptions = {}): Promise<Tagged<Schemas["ChangedNumber"]>> {
    const { params, ...init } = conditional(options);
    return tagged(await answer(this.#api.DELETE("/phone-numbers-assign", { params: { ...params, query: { id } }, ...init })));
  }

  /** Releases numbers, for good. Those that could not be released are in `failed`, each with its problem. */
  async release(body: Schemas["ReleaseRequest"], options: KeyedOptions = {}): Promise<Schemas["ReleaseResult"]> {
    const { key, init } = keyed(options);
    const { data } = await answer(this.#api.POST("/phone-numbers-release", { body, ...init }), key);
    return data;
  }
}

function keyed({ idempotencyKey: key = crypto.randomUUID(), signal }: KeyedOptions) {
  return { key, init: { params: { header: { [IDEMPOTENCY_KEY]: key } }, ...given({ signal }) } };
}

function conditional({ ifMatch, signal }: ChangeOptions) {
  return { params: { header: given({ "If-Match": ifMatch }) }, ...given({ signal }) };
}

/** Without the members that are undefined, which do not count as absent. */
function given<Value, Name extends string>(members: Record<Name, Value | undefined>): Partial<Record<Name, Value>> {
  const entries = Object.entries<Value | undefined>(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<Record<Name, Value>>;
}

function tagged<Row extends object>({ data, response }: { data: Row; response: Response }): Tagged<Row> {
  return { ...data, etag: response.headers.get("ETag") ?? undefined };
}

/** The answer to a request. */
async function answer<Data>(
  request: Promise<Outcome<Data>>,
  idempotencyKey?: string,
): Promise<{ data: Data; response: Response }> {
  const { data, error, response } = await request.catch((cause: unknown): never => {
    const isAborted = cause instanceof DOMException && cause.name === "AbortError";
    throw isAborted ? cause : new RequestError("The request got no answer.", { cause, ...given({ idempotencyKey }) });
  });
  if (data !== undefined) {
    return { data, response };
  }
  const failure = { status: response.status, ...given({ retryAfterMs: retryAfterMs(response) }), ...given({ idempotencyKey }) };
  throw isProblem(error) ? new ProblemError(error, failure) : new RequestError(`The answer was ${response.status}.`, failure);
}
