// `@supabase/functions-js` as the web app has it, with another address and nothing else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { FunctionRegion, FunctionsClient, FunctionsHttpError } from "@supabase/functions-js";

import type { components, Problem } from "../src/index.js";
import { Stack } from "./stack.js";

type Schemas = components["schemas"];

let stack: Stack;
let functions: FunctionsClient;

before(async () => {
  stack = await Stack.start();
  functions = new FunctionsClient(stack.ready.base_url);
  functions.setAuth(stack.ready.tokens.owner);
});

after(async () => {
  await stack?.stop();
});

/** Calls a function and returns its answer. */
async function invoke<Answer>(name: string, options: Parameters<FunctionsClient["invoke"]>[1]): Promise<Answer> {
  const { data, error } = await functions.invoke<Answer>(name, options);
  assert.equal(error, null);
  assert.ok(data !== null);
  return data;
}

async function offer(area: string): Promise<string> {
  const name = `phone-numbers-search?country_code=US&area_code=${area}&limit=1`;
  const { phone_numbers } = await invoke<Schemas["SearchResult"]>(name, { method: "GET" });
  assert.ok(phone_numbers[0]);
  return phone_numbers[0].phone_number;
}

test("the story from search to release", async () => {
  const phone_number = await offer("312");
  const body = { phone_numbers: [{ phone_number }] };
  const bought = await invoke<Schemas["PurchaseResult"]>("phone-numbers-purchase", { body });
  assert.equal(bought.success, true);
  const listed = await invoke<Schemas["ListPage"]>("phone-numbers-list", { method: "GET" });
  const row = listed.phone_numbers.find((row) => row.phone_number === phone_number);
  assert.ok(row);
  const id = { phone_number_id: row.id };
  const [agent_mapping_id] = stack.ready.agents.demo;
  await invoke("phone-numbers-assign", { body: { ...id, agent_mapping_id } });
  const changed = await invoke<Schemas["ChangedNumber"]>("phone-numbers-assign", { method: "PATCH", body: { ...id, friendly_name: "Desk" } });
  assert.equal(changed.phone_number.friendly_name, "Desk");
  assert.equal(changed.phone_number.agent_mappings?.id, agent_mapping_id);
  await invoke("phone-numbers-assign", { method: "DELETE", body: id });
  const released = await invoke<Schemas["ReleaseResult"]>("phone-numbers-release", { body: { phone_number_ids: [row.id], confirm: true } });
  assert.equal(released.summary.released_count, 1);
});

test("a key of the caller makes a repeated purchase the same purchase", async () => {
  const body = { phone_numbers: [{ phone_number: await offer("415") }] };
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  const first = await invoke<Schemas["PurchaseResult"]>("phone-numbers-purchase", { body, headers });
  const again = await invoke<Schemas["PurchaseResult"]>("phone-numbers-purchase", { body, headers });
  assert.equal(again.order?.id, first.order?.id);
});

test("an error carries the problem", async () => {
  const { data, error } = await functions.invoke("phone-numbers-purchase", { body: { phone_numbers: [{ phone_number: "312" }] } });
  assert.equal(data, null);
  assert.ok(error instanceof FunctionsHttpError);
  assert.equal(error.context.status, 400);
  const problem = (await error.context.json()) as Problem;
  assert.equal(problem.code, "invalid_request");
  assert.equal(problem.error, problem.detail);
  assert.deepEqual(problem.errors?.map(({ field }) => field), ["phone_numbers[0].phone_number"]);
});

test("the option `region` is accepted", async () => {
  const options = { method: "GET", region: FunctionRegion.UsEast1 } as const;
  assert.ok((await invoke<Schemas["ListPage"]>("phone-numbers-list", options)).pagination);
});
