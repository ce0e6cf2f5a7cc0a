import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { type Options, PhoneNumbers, ProblemError, RequestError, type Send } from "../src/index.js";
import { Stack } from "./stack.js";

let stack: Stack;

before(async () => {
  stack = await Stack.start();
});

after(async () => {
  await stack?.stop();
});

function as(user: keyof Stack["ready"]["tokens"], options: Partial<Options> = {}): PhoneNumbers {
  return new PhoneNumbers({ baseUrl: stack.ready.base_url, token: () => stack.ready.tokens[user], ...options });
}

/** A number on offer. Each test searches in an area of its own. */
async function offer(area_code: string): Promise<string> {
  const { phone_numbers } = await as("owner").search({ country_code: "US", area_code, limit: 1 });
  assert.ok(phone_numbers[0]);
  return phone_numbers[0].phone_number;
}

/** Loses the first answers after the function has done its work, and records the requests. */
function losing(answers: number): { send: Send; keys: (string | null)[] } {
  const keys: (string | null)[] = [];
  const send: Send = async (request) => {
    keys.push(request.headers.get("idempotency-key"));
    const response = await fetch(request);
    if (keys.length <= answers) {
      throw new TypeError("the connection was reset");
    }
    return response;
  };
  return { send, keys };
}

async function problem(request: Promise<unknown>): Promise<ProblemError> {
  const error = await request.then(() => undefined, (error: unknown) => error);
  assert.ok(error instanceof ProblemError, String(error));
  return error;
}

test("the story from search to release", async () => {
  const owner = as("owner");
  const [agent, other] = stack.ready.agents.demo;
  const phone_number = await offer("312");

  const bought = await owner.purchase({
    phone_numbers: [{ phone_number, friendly_name: "Front desk", agent_mapping_id: agent }],
    max_monthly_cost: "2.00",
  });
  const [row] = bought.phone_numbers;
  assert.ok(row?.outcome === "purchased", JSON.stringify(bought));
  assert.equal(row.monthly_cost, "1.00");

  const { phone_numbers, available_agents } = await owner.list({ include_agents: true, search: phone_number });
  assert.deepEqual(phone_numbers.map(({ id }) => id), [row.id]);
  assert.ok(available_agents?.some(({ id }) => id === other));

  const shown = await owner.show(row.id, { include_history: true });
  assert.ok(shown.etag !== undefined && (shown.history?.length ?? 0) > 0);
  const assigned = await owner.assign({ phone_number_id: row.id, agent_mapping_id: other }, { ifMatch: shown.etag });
  assert.equal(assigned.phone_number.agent_mappings?.id, other);
  const renamed = await owner.change({ phone_number_id: row.id, friendly_name: "Night line" }, { ifMatch: assigned.etag });
  assert.equal(renamed.phone_number.friendly_name, "Night line");
  assert.equal((await owner.unassign(row.id)).phone_number.agent_mappings, null);
  assert.ok((await owner.assignable({ unassigned: true })).phone_numbers.some(({ id }) => id === row.id));

  const { released } = await owner.release({ phone_number_ids: [row.id], confirm: true });
  assert.deepEqual(released.map(({ id }) => id), [row.id]);
});

test("a purchase whose answers are lost is repeated with the same key and buys one number", async () => {
  const ordered = (await stack.orders()).length;
  const { send, keys } = losing(2);
  const phone_number = await offer("415");
  const { phone_numbers } = await as("owner", { fetch: send }).purchase({ phone_numbers: [{ phone_number }] });
  assert.equal(phone_numbers[0]?.outcome, "purchased");
  assert.equal(keys.length, 3);
  assert.deepEqual(new Set(keys).size, 1);
  assert.equal((await stack.orders()).length, ordered + 1);
});

test("a purchase that never got an answer can be repeated with the key of its error", async () => {
  const ordered = (await stack.orders()).length;
  const { send } = losing(2);
  const owner = as("owner", { fetch: send, attempts: 2 });
  const body = { phone_numbers: [{ phone_number: await offer("212") }] };
  const error = await owner.purchase(body).catch((error: unknown) => error);
  assert.ok(error instanceof RequestError && error.status === undefined && error.idempotencyKey !== undefined, String(error));
  const again = await owner.purchase(body, { idempotencyKey: error.idempotencyKey });
  assert.equal(again.phone_numbers[0]?.outcome, "purchased");
  assert.equal((await stack.orders()).length, ordered + 1);
});

test("a change without a key is sent once", async () => {
  const { send, keys } = losing(1);
  const change = as("owner", { fetch: send }).change({ phone_number_id: crypto.randomUUID(), friendly_name: "x" });
  await assert.rejects(change, RequestError);
  assert.equal(keys.length, 1);
});

test("a limit of Telnyx is waited for as long as Retry-After says", async () => {
  await stack.fault({ path_prefix: "/v2/available_phone_numbers", kind: "status", status: 429, times: 1 });
  const answers: [number, string | null][] = [];
  const sent: number[] = [];
  const send: Send = async (request) => {
    sent.push(performance.now());
    const response = await fetch(request);
    answers.push([response.status, response.headers.get("retry-after")]);
    return response;
  };
  const { phone_numbers } = await as("member", { fetch: send }).search({ country_code: "US", area_code: "312", limit: 1 });
  assert.equal(phone_numbers.length, 1);
  assert.deepEqual(answers.map(([status]) => status), [429, 200]);
  const [, retryAfter] = answers[0] ?? [];
  assert.ok(Number(retryAfter) >= 1, String(retryAfter));
  assert.ok((sent[1] ?? 0) - (sent[0] ?? 0) >= Number(retryAfter) * 1000 - 5);
});

test("a wait that is too long is left to the caller", async () => {
  await stack.fault({ path_prefix: "/v2/available_phone_numbers", kind: "status", status: 429, times: 1 });
  const search = as("admin", { longestWaitMs: 0 }).search({ country_code: "US", area_code: "312" });
  const error = await problem(search);
  assert.equal(error.code, "rate_limited");
  assert.ok((error.retryAfterMs ?? 0) >= 1000, String(error.retryAfterMs));
});

test("a problem is an error with its code, its status and its fields", async () => {
  const error = await problem(as("owner").search({ country_code: "US", limit: 1000 }));
  assert.equal(error.code, "invalid_request");
  assert.equal(error.status, 400);
  assert.deepEqual(error.problem.errors?.map(({ field }) => field), ["limit"]);
  assert.equal(error.message, error.problem.detail);
});

test("what a user may not do is refused at once", async () => {
  const { send, keys } = losing(0);
  const purchase = as("member", { fetch: send }).purchase({ phone_numbers: [{ phone_number: "+13125550100" }] });
  const error = await problem(purchase);
  assert.equal(error.code, "forbidden");
  assert.equal(keys.length, 1);
});

test("each attempt has the token of the session as it is then", async () => {
  const { send } = losing(1);
  const tokens = ["expired", stack.ready.tokens.member];
  await as("member", { fetch: send, token: () => tokens.shift() ?? "" }).list();
  assert.deepEqual(tokens, []);
});

test("an aborted request is not repeated", async () => {
  const controller = new AbortController();
  const keys: unknown[] = [];
  const send: Send = async (request) => {
    keys.push(request);
    controller.abort();
    return fetch(request);
  };
  await assert.rejects(as("member", { fetch: send }).list({}, { signal: controller.signal }), { name: "AbortError" });
  assert.equal(keys.length, 1);
});

test("an answer that is not the functions' own is an error without a problem", async () => {
  const send: Send = async () => Response.json({ message: "Service Unavailable" }, { status: 503 });
  const error = await as("owner", { fetch: send, attempts: 1 }).list().catch((error: unknown) => error);
  assert.ok(error instanceof RequestError && !(error instanceof ProblemError));
  assert.equal(error.status, 503);
});
