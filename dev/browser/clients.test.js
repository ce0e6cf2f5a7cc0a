// `@supabase/functions-js` as it is published, in the page's own origin, with which the platform's web app calls its functions.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { open, ready } from "./support.js";

// Serves the package beside the page. Its modules name each other as a bundler resolves them.
const serveClient = (page) =>
  page.route("**/vendor/**", (route) => {
    const name = new URL(route.request().url()).pathname.slice("/vendor/".length);
    const file = name === "tslib" ? "tslib/tslib.es6.mjs" : `@supabase/functions-js/dist/module/${name}.js`;
    const text = readFileSync(new URL(`node_modules/${file}`, import.meta.url), "utf8");
    return route.fulfill({ contentType: "text/javascript", body: text.replaceAll('from "tslib"', 'from "./tslib"') });
  });

const invoke = (page, name, options) =>
  page.evaluate(
    async ([base, token, called, given]) => {
      const { FunctionsClient } = await import("/vendor/index");
      const client = new FunctionsClient(base, { headers: { Authorization: `Bearer ${token}` } });
      const { data, error } = await client.invoke(called, given);
      return { data, problem: error && (await error.context.json()), kind: error?.name };
    },
    [ready.base_url, ready.tokens.owner, name, options],
  );

test("functions-js buys and releases a number, and its errors carry our problem", async (t) => {
  const page = await open(t, { expected: ["400 POST /phone-numbers-purchase"] });
  await serveClient(page);
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
