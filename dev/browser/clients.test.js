// Clients in the page's own origin, as a web app has them: `@supabase/functions-js` as it is published, with which the platform's
// web app calls its functions, and the typed client of `client/`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { open, ordersOf, ready } from "./support.js";

const PACKAGES = {
  "functions-js": "node_modules/@supabase/functions-js/dist/module/",
  tslib: "node_modules/tslib/",
  client: "../../client/dist/",
  "openapi-fetch": "../../client/node_modules/openapi-fetch/dist/",
};
// The modules of a package that others name by the name of the package alone.
const MAINS = { tslib: "/vendor/tslib/tslib.es6.mjs", "openapi-fetch": "/vendor/openapi-fetch/index.mjs" };

// Serves the packages beside the page. Their modules name each other as a bundler resolves them.
const serveClients = (page) =>
  page.route("**/vendor/**", (route) => {
    const [, folder, name] = new URL(route.request().url()).pathname.match(/^\/vendor\/([^/]+)\/(.+)$/);
    const file = /\.m?js$/.test(name) ? name : `${name}.js`;
    const text = readFileSync(new URL(`${PACKAGES[folder]}${file}`, import.meta.url), "utf8");
    const body = Object.entries(MAINS).reduce((resolved, [main, path]) => resolved.replaceAll(`from "${main}"`, `from "${path}"`), text);
    return route.fulfill({ contentType: "text/javascript", body });
  });

const invoke = (page, name, options) =>
  page.evaluate(
    async ([base, token, called, given]) => {
      const { FunctionsClient } = await import("/vendor/functions-js/index");
      const client = new FunctionsClient(base, { headers: { Authorization: `Bearer ${token}` } });
      const { data, error } = await client.invoke(called, given);
      return { data, problem: error && (await error.context.json()), kind: error?.name };
    },
    [ready.base_url, ready.tokens.owner, name, options],
  );

test("functions-js buys and releases a number, and its errors carry our problem", async (t) => {
  const page = await open(t, { expected: ["400 POST /phone-numbers-purchase"] });
  await serveClients(page);
  const found = await invoke(page, "phone-numbers-search?country_code=US&area_code=310&limit=1", { method: "GET" });
  const number = found.data.phone_numbers[0].phone_number;
  const headers = { "idempotency-key": crypto.randomUUID() };
  const bought = await invoke(page, "phone-numbers-purchase", { body: { phone_numbers: [{ phone_number: number }] }, headers });
  assert.equal(bought.problem, null);
  const released = await invoke(page, "phone-numbers-release", { body: { phone_number_ids: [bought.data.phone_numbers[0].id], confirm: true } });
  assert.equal(released.data.summary.released_count, 1);
  const refused = await invoke(page, "phone-numbers-purchase", { body: { phone_numbers: [{ phone_number: "555" }] } });
  assert.equal(refused.kind, "FunctionsHttpError");
  assert.equal(refused.problem.code, "invalid_request");
  assert.match(refused.problem.errors[0].field, /phone_number/);
});

// Calls a method of the typed client.
const call = (page, method, ...given) =>
  page.evaluate(
    async ([baseUrl, token, name, input]) => {
      const { PhoneNumbers } = await import("/vendor/client/index.js");
      const numbers = new PhoneNumbers({ baseUrl, token: () => token });
      return numbers[name](...input).catch((error) => ({ code: error.problem.code }));
    },
    [ready.base_url, ready.tokens.owner, method, given],
  );

test("the typed client buys a number once, reads its entity tag, and tells a problem's code", async (t) => {
  const page = await open(t, { expected: ["412 POST /phone-numbers-assign"] });
  await serveClients(page);
  const { phone_numbers: offers } = await call(page, "search", { country_code: "US", area_code: "213", limit: 1 });
  const [{ phone_number: number }] = offers;
  const idempotencyKey = crypto.randomUUID();
  const purchase = () => call(page, "purchase", { phone_numbers: [{ phone_number: number }], max_monthly_cost: "2.00" }, { idempotencyKey });
  const [first, second] = [await purchase(), await purchase()];
  assert.equal(first.phone_numbers[0].id, second.phone_numbers[0].id);
  assert.equal(await ordersOf(number), 1);
  // A page reads the header only because the function exposes it.
  const shown = await call(page, "show", first.phone_numbers[0].id, {});
  assert.ok(shown.etag);
  const body = { phone_number_id: shown.phone_number.id, agent_mapping_id: ready.agents.demo[0] };
  const assigned = await call(page, "assign", body, { ifMatch: shown.etag });
  assert.equal(assigned.phone_number.agent_mapping_id, body.agent_mapping_id);
  assert.deepEqual(await call(page, "assign", body, { ifMatch: shown.etag }), { code: "precondition_failed" });
  const released = await call(page, "release", { phone_number_ids: [shown.phone_number.id], confirm: true });
  assert.equal(released.summary.released_count, 1);
});
