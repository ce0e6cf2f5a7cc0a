// The whole story by clicks: from signing in to a released number.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { ask, bought, buy, buyButtons, offer, offered, open, ordersOf, ready, row, rowsOf, says, search, signIn, signedIn, turnOn, withoutFaults } from "./support.js";

test("a number is found, bought, assigned, renamed, unassigned and released by clicks", async (t) => {
  const page = await signedIn(t);
  await search(page, "312");
  const number = await offered(page);
  const found = offer(page, number);
  for (const text of ["Chicago, IL", "Local", "Voice", "SMS", "$1.00"]) await found.getByText(text).first().waitFor();

  await buy(page, number);
  await says(page, number, "active");
  await found.getByText("active", { exact: true }).waitFor();

  await page.getByRole("button", { name: `Assign ${number}`, exact: true }).click();
  await page.getByRole("dialog").getByLabel("Reception").check();
  await page.getByRole("button", { name: "Confirm" }).click();
  await says(page, number, "Reception");

  await page.getByRole("button", { name: `Rename ${number}` }).click();
  await page.getByLabel("Friendly name").fill("Front desk");
  await page.getByRole("button", { name: "Save" }).click();
  await says(page, number, "Front desk");

  await page.getByRole("button", { name: `Unassign ${number}` }).click();
  await says(page, number, "No agent");

  await page.getByRole("button", { name: `History ${number}` }).click();
  const history = page.getByRole("list", { name: "History" });
  await history.getByText("Unassigned").waitFor();
  const steps = await history.locator(".what").allTextContents();
  assert.deepEqual(steps.filter((step) => !step.startsWith("This page")), ["Purchase recorded", "Bought", "Assigned to an agent", "Changed", "Unassigned"]);
  assert.match(await history.innerText(), /owner@demo\.example/);
  await page.getByRole("button", { name: "Close" }).click();

  await page.getByRole("button", { name: `Release ${number}` }).click();
  const question = page.getByRole("dialog", { name: `Release ${number}?` });
  assert.match(await question.innerText(), /cannot be undone/);
  await question.getByRole("button", { name: "Confirm" }).click();
  await row(page, number).waitFor({ state: "detached" });
  assert.deepEqual(await rowsOf(number), []);
  await page.getByLabel("Show released").check();
  await says(page, number, "released");
});

test("a release that is not confirmed releases nothing", async (t) => {
  const page = await signedIn(t);
  const number = await bought(page, "415");
  await page.getByRole("button", { name: `Release ${number}` }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal((await rowsOf(number))[0].status, "active");
});

test("a purchase is pending while Telnyx has not confirmed it, and turns active by itself", async (t) => {
  const page = await signedIn(t);
  await turnOn(page, "Delay orders");
  t.after(withoutFaults);
  await search(page, "206");
  const number = await offered(page);
  await buy(page, number);
  await says(page, number, "pending");
  await says(page, number, "active");
});

test("a double click on Buy gives one number", async (t) => {
  const page = await signedIn(t);
  await search(page, "617");
  const number = await offered(page);
  const requests = [];
  page.on("request", (request) => request.method() === "POST" && request.url().endsWith("-purchase") && requests.push(request));
  await page.getByRole("button", { name: `Buy ${number}` }).dblclick();
  await says(page, number, "active");
  assert.equal(await ordersOf(number), 1);
  assert.equal((await rowsOf(number)).length, 1);
  const keys = new Set(requests.map((request) => request.headers()["idempotency-key"]));
  assert.equal(keys.size, 1);
});

test("a number that costs more than the ceiling is not bought, and the page says so", async (t) => {
  const page = await signedIn(t, "owner", { expected: ["409 POST /phone-numbers-purchase"] });
  await search(page, "646");
  const number = await offered(page);
  await page.getByLabel("Pay at most").fill("0.50");
  await buy(page, number);
  await page.getByRole("alert").getByText("price_exceeded").waitFor();
  assert.equal(await ordersOf(number), 0);
  await page.getByLabel("Pay at most").fill("2.00");
  await buy(page, number);
  await says(page, number, "active");
});

test("filters narrow the search, and one that is wrong is named", async (t) => {
  const page = await signedIn(t, "member", { expected: ["400 GET /phone-numbers-search"] });
  await page.getByLabel("Type").selectOption("toll_free");
  await page.getByRole("button", { name: "Search" }).click();
  await buyButtons(page).first().waitFor();
  assert.match(await offered(page), /^\+18(00|33|44|55|66|77|88)/);
  await page.getByLabel("Area code").fill("three");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("alert").getByText("area_code").first().waitFor();
});

test("the page can be used with the keyboard alone", async (t) => {
  const page = await signedIn(t);
  await page.getByLabel("Area code").focus();
  await page.keyboard.type("503");
  await page.keyboard.press("Enter");
  await buyButtons(page).first().waitFor();
  const number = await offered(page);
  await page.getByRole("button", { name: `Buy ${number}` }).focus();
  await page.keyboard.press("Enter");
  await says(page, number, "active");
  const history = page.getByRole("button", { name: `History ${number}` });
  await history.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("list", { name: "History" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await history.evaluate((button) => document.activeElement === button), true, "the focus returns");
});

test("the summary counts the numbers and sums what they cost", async (t) => {
  const page = await signedIn(t);
  const { summary } = await ask("list", "owner");
  const value = async (title) => page.locator(".stats div", { hasText: title }).locator("dd").innerText();
  await page.locator(".stats div", { hasText: "Numbers" }).getByText(String(summary.total), { exact: true }).waitFor();
  assert.equal(await value("Monthly total"), `$${Number(summary.monthly_cost[0].amount).toFixed(2)}`);
});

test("nothing moves while the page loads", async (t) => {
  const page = await open(t, { url: "about:blank" });
  await page.addInitScript(() => {
    globalThis.shifts = [];
    new PerformanceObserver((list) => globalThis.shifts.push(...list.getEntries().map(({ value, hadRecentInput }) => ({ value, hadRecentInput })))).observe({ type: "layout-shift" });
  });
  // Long enough for the browser to count what follows as a jump and not as the effect of a click.
  await page.route("**/phone-numbers-list*", async (route) => {
    await new Promise((passed) => setTimeout(passed, 1000));
    await route.continue();
  });
  await page.goto(ready.console_url);
  await signIn(page, "owner");
  await row(page, "+1").first().waitFor();
  await page.getByText("None. The database and Telnyx agree.").waitFor();
  const shifts = await page.evaluate(() => globalThis.shifts.filter(({ hadRecentInput }) => !hadRecentInput).map(({ value }) => value));
  assert.ok(shifts.reduce((sum, value) => sum + value, 0) < 0.02, String(shifts));
});

// What a request in the panel for developers shows: as curl, as a typed call, and the answer.
const shown = async (page, request) => {
  const entry = page.getByRole("region", { name: "Requests" }).getByRole("listitem").filter({ hasText: request }).first();
  await entry.locator("summary").click();
  const [curl, typed, answer] = await entry.locator("pre").allTextContents();
  return { curl, typed, answer: JSON.parse(answer) };
};

test("a request is shown as a curl that works in a shell, and as a typed call", async (t) => {
  const page = await signedIn(t);
  const number = await bought(page, "808");
  const run = (curl) => JSON.parse(execFileSync("bash", ["-c", curl.replace("curl", "curl --silent")], { env: { ...process.env, OWNER: ready.tokens.owner } }));

  const search = await shown(page, "GET /phone-numbers-search");
  assert.match(search.typed, /^await numbers\.search\(\{\n {2}country_code: "US",\n {2}area_code: "808",/);
  assert.ok(run(search.curl).phone_numbers.length > 0);

  const purchase = await shown(page, "POST /phone-numbers-purchase");
  assert.match(purchase.typed, /^await numbers\.purchase\(\{.*idempotencyKey: "/s);
  assert.equal(purchase.answer.phone_numbers[0].phone_number, number);
  assert.equal(run(purchase.curl).phone_numbers[0].id, purchase.answer.phone_numbers[0].id, "the same key, the same purchase");
  assert.equal(await ordersOf(number), 1);
});
