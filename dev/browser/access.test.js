// Who sees and may do what: agencies, roles, sessions, and pages of other origins.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { test } from "node:test";

import { ask, bought, open, ready, row, rowsOf, search, signIn, signedIn, telnyx } from "./support.js";

test("two agencies side by side see their own numbers only, and cannot buy each other's", async (t) => {
  const [demo, other] = [await signedIn(t), await signedIn(t, "other_owner", { expected: ["409 POST /phone-numbers-purchase"] })];
  // Both have found the same numbers.
  await search(demo, "801");
  await search(other, "801");
  const number = await bought(demo, "801");
  await other.getByRole("button", { name: `Buy ${number}` }).click();
  await other.getByRole("alert").getByText("number_unavailable").waitFor();
  assert.deepEqual(await rowsOf(number, "other_owner"), []);
  const theirs = await bought(other, "801");
  await row(other, theirs).waitFor();
  assert.equal(await row(other, number).count(), 0);
  assert.equal(await row(demo, theirs).count(), 0);
});

test("a member may look and not buy, and a client may not even look", async (t) => {
  const member = await signedIn(t, "member", { expected: ["403 POST /phone-numbers-purchase"] });
  await search(member, "720");
  await member.getByRole("button", { name: /^Buy \+1/ }).first().click();
  await member.getByRole("alert").getByText("forbidden", { exact: true }).waitFor();
  const client = await signedIn(t, "client_viewer", { expected: ["403 GET /phone-numbers-list"] });
  await client.getByRole("alert").getByText("forbidden", { exact: true }).waitFor();
});

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// A token of a user as it is after its last second.
const expired = (token) => {
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  const signed = `${encoded({ alg: "HS256", typ: "JWT" })}.${encoded({ ...claims, iat: claims.iat - 7200, exp: claims.iat - 3600 })}`;
  return `${signed}.${createHmac("sha256", ready.jwt_secret).update(signed).digest("base64url")}`;
};

test("an expired session leads back to the first screen, which says so, and from there on", async (t) => {
  const page = await open(t, { url: "about:blank", expected: ["401 GET /phone-numbers-list"] });
  let given = 0;
  await page.route("**/api/session", async (route) => {
    const response = await route.fetch();
    const session = await response.json();
    // The first token that the page gets has expired; the next ones are fresh.
    if ((given += 1) === 1) session.users = session.users.map((user) => ({ ...user, token: expired(user.token) }));
    await route.fulfill({ response, json: session });
  });
  await page.goto(ready.console_url);
  await signIn(page, "owner");
  await page.getByRole("alert").getByText("Your session has expired").waitFor();
  await signIn(page, "owner");
  await page.getByRole("heading", { name: "Your numbers" }).waitFor();
  await search(page, "720");
});

// A page at another origin, whose host name still leads to this machine.
const foreign = async (t) => {
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>Another site</title><link rel=icon href=data:,>"));
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  t.after(() => server.close());
  return `http://another-site.localhost:${server.address().port}/`;
};

const fetched = (page, url, options) =>
  page.evaluate(([address, given]) => fetch(address, given).then(async (response) => `${response.status} ${await response.text()}`, (error) => String(error)), [url, options]);

test("a page of a foreign origin gets no answer of a function: its preflight is refused", async (t) => {
  const expected = ["console: Access to fetch", "failed GET /phone-numbers-list"];
  const page = await open(t, { url: await foreign(t), expected });
  const result = await fetched(page, ready.functions["phone-numbers-list"], { headers: { authorization: `Bearer ${ready.tokens.owner}` } });
  assert.equal(result, "TypeError: Failed to fetch");
  assert.ok((await ask("list", "owner")).phone_numbers, "the same request succeeds without a browser");
});

test("a page of a foreign origin reaches neither the console nor the simulator's controls", async (t) => {
  const expected = ["console: Access to fetch", "failed GET /api/session", "failed PUT /api/kill", "failed POST /api/telnyx/faults", "POST /_control/faults"];
  const page = await open(t, { url: await foreign(t), expected });
  const { console_url: console, telnyx_control_url: control } = ready;
  assert.match(await fetched(page, `${console}/api/session`, {}), /TypeError/);
  assert.match(await fetched(page, `${console}/api/kill`, { method: "PUT", headers: { "content-type": "application/json" }, body: '{"armed":true}' }), /TypeError/);
  // Two requests that a browser sends without a preflight, though the page cannot read the answer.
  const fault = JSON.stringify({ path_prefix: "/v2", kind: "drop_before" });
  assert.equal(await fetched(page, `${control}/faults`, { method: "POST", body: fault, mode: "no-cors" }), "0 ");
  assert.match(await fetched(page, `${console}/api/telnyx/faults`, { method: "POST", body: fault, mode: "no-cors" }), /TypeError/);
  assert.deepEqual((await telnyx()).faults, []);
  assert.equal((await (await fetch(`${console}/api/kill`)).json()).armed, false);
});
