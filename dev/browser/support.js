// What the tests share: the running product, a browser, and pages that report what went wrong in them.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { after, before } from "node:test";

import { chromium } from "playwright-core";

// How long a page may take for what it does. A purchase that reconcile has to finish takes a lease and a run of the schedule.
export const PATIENCE_MS = 60_000;

// Addresses, tokens and secrets of the product: the ready file of `cargo dev`.
export const ready = JSON.parse(readFileSync(process.env.READY_FILE, "utf8"));
export const pictures = process.env.PICTURES;
mkdirSync(pictures, { recursive: true });

let browser;

before(async () => {
  // As root, as in many containers, Chrome cannot use its sandbox.
  browser = await chromium.launch({ executablePath: process.env.CHROME, chromiumSandbox: process.getuid() !== 0 });
});

after(() => browser.close());

// Opens a page in a browser of its own. After the test, whatever failed in the page fails the test, unless the test named it in
// `expected`: texts that occur in an incident. Each must occur.
export const open = async (t, { url = ready.console_url, expected = [], ...options } = {}) => {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, locale: "en-US", ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const incidents = [];
  page.on("pageerror", (error) => incidents.push(`exception: ${error}`));
  page.on("console", (message) => {
    // Each request that fails has an incident of its own.
    const isError = ["error", "warning"].includes(message.type()) && !message.text().startsWith("Failed to load resource");
    if (isError) incidents.push(`console: ${message.text()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) incidents.push(`${response.status()} ${response.request().method()} ${new URL(response.url()).pathname}`);
  });
  page.on("requestfailed", (request) => incidents.push(`failed ${request.method()} ${new URL(request.url()).pathname}`));
  t.after(async () => {
    const seen = [...incidents];
    await page.screenshot({ path: `${pictures}/${t.name.replaceAll(/[^a-z]+/gi, "-").slice(0, 60)}.png` });
    await context.close();
    assert.deepEqual(seen.filter((incident) => !expected.some((text) => incident.includes(text))), [], "nothing else fails in the page");
    assert.deepEqual(expected.filter((text) => !seen.some((incident) => incident.includes(text))), [], "what the test expects fails");
  });
  await page.goto(url);
  return page;
};

// A page with somebody signed in: the key of a demo user.
export const signedIn = async (t, user = "owner", options = {}) => {
  const page = await open(t, options);
  await signIn(page, user);
  return page;
};

export const signIn = (page, user) => page.getByRole("button", { name: new RegExp(`^Sign in as ${user} `) }).click();

export const search = async (page, areaCode) => {
  await page.getByLabel("Area code").fill(areaCode);
  await page.getByRole("button", { name: "Search" }).click();
  await buyButtons(page).first().waitFor();
};

export const buyButtons = (page) => page.getByRole("button", { name: /^Buy \+1/ });

// The first number on offer.
export const offered = async (page) => (await buyButtons(page).first().getAttribute("aria-label")).slice("Buy ".length);

export const buy = (page, number) => page.getByRole("button", { name: `Buy ${number}` }).click();

// The row of a number in the agency's table.
export const row = (page, number) => page.getByRole("region", { name: "Your numbers" }).getByRole("row").filter({ hasText: number });

// Waits until the row of a number says this.
export const says = (page, number, text) => row(page, number).getByText(text, { exact: true }).first().waitFor();

export const offer = (page, number) => page.getByRole("table", { name: "Numbers on offer" }).getByRole("row").filter({ hasText: number });

// Searches in an area code that no other test uses, buys the first number, and returns it once it is active.
export const bought = async (page, areaCode) => {
  await search(page, areaCode);
  const number = await offered(page);
  await buy(page, number);
  await says(page, number, "active");
  return number;
};

export const turnOn = async (page, fault) => {
  await page.getByRole("switch", { name: fault }).click();
  await page.getByRole("switch", { name: fault, checked: true }).waitFor();
};

export const turnOff = async (page, fault) => {
  await page.getByRole("switch", { name: fault, checked: true }).click();
  await page.getByRole("switch", { name: fault, checked: false }).waitFor();
};

// Ends the faults that last, also if a test failed that began one.
export const withoutFaults = async () => {
  const body = JSON.stringify({ order_delay_ms: 1400, insufficient_funds: false });
  await fetch(`${ready.telnyx_control_url}/settings`, { method: "PUT", body });
  await fetch(`${ready.telnyx_control_url}/faults`, { method: "DELETE" });
};

// What Telnyx holds, as its simulator says.
export const telnyx = async () => (await fetch(`${ready.telnyx_control_url}/state`)).json();

// How many orders Telnyx took for a number.
export const ordersOf = async (number) => (await telnyx()).orders.filter((order) => order.phone_numbers.some((item) => item.phone_number === number)).length;

// Asks a function as a program.
export const ask = async (name, user, query = "") => {
  const answer = await fetch(`${ready.functions[`phone-numbers-${name}`]}${query}`, { headers: { authorization: `Bearer ${ready.tokens[user]}` } });
  return answer.json();
};

// The rows of a number that its agency holds.
export const rowsOf = async (number, user = "owner") =>
  (await ask("list", user, `?search=${encodeURIComponent(number)}`)).phone_numbers.filter((one) => one.phone_number === number);
