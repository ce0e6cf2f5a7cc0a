// A fault of each kind while buying: the purchase survives, or fails for a reason that the page says.

import assert from "node:assert/strict";
import { test } from "node:test";

import { bought, buy, offered, ordersOf, rowsOf, says, search, signedIn, turnOff, turnOn, withoutFaults } from "./support.js";

const survives = async (page, number) => {
  await says(page, number, "active");
  assert.equal(await ordersOf(number), 1, "Telnyx took one order");
  assert.equal((await rowsOf(number)).length, 1, "the agency has one row");
};

test("a purchase survives that Telnyx's answer is lost", async (t) => {
  const page = await signedIn(t);
  await search(page, "212");
  await turnOn(page, "Lose the next answer");
  const number = await offered(page);
  await buy(page, number);
  await survives(page, number);
  await page.getByRole("switch", { name: "Lose the next answer", checked: false }).waitFor();
});

test("a purchase survives that its function is killed in the middle, though nobody asks again", async (t) => {
  const page = await signedIn(t, "owner", { expected: ["failed POST /phone-numbers-purchase", "console: Access to fetch"] });
  await search(page, "305");
  await turnOn(page, "Kill the function in the middle");
  const number = await offered(page);
  await buy(page, number);
  await page.getByRole("alert").getByText("No answer").waitFor();
  await says(page, number, "pending");
  await survives(page, number);
});

test("a purchase that was killed in the middle is finished by asking again, with the same key", async (t) => {
  const expected = ["failed POST /phone-numbers-purchase", "console: Access to fetch", "409 POST /phone-numbers-purchase"];
  const page = await signedIn(t, "owner", { expected });
  const keys = [];
  page.on("request", (request) => request.method() === "POST" && request.url().endsWith("-purchase") && keys.push(request.headers()["idempotency-key"]));
  await search(page, "702");
  await turnOn(page, "Kill the function in the middle");
  const number = await offered(page);
  await buy(page, number);
  await page.getByRole("alert").getByText("No answer").waitFor();
  await buy(page, number);
  await page.getByRole("alert").getByText("request_in_progress").waitFor();
  await survives(page, number);
  assert.equal(keys.length, 2);
  assert.equal(new Set(keys).size, 1);
});

test("an order that Telnyx refuses is shown as refused, and can be bought once the reason is gone", async (t) => {
  const page = await signedIn(t, "owner", { expected: ["402 POST /phone-numbers-purchase"] });
  await search(page, "404");
  await turnOn(page, "Refuse orders");
  t.after(withoutFaults);
  const number = await offered(page);
  await buy(page, number);
  await page.getByRole("alert").getByText("insufficient_funds").waitFor();
  assert.equal(await ordersOf(number), 0);
  await turnOff(page, "Refuse orders");
  await buy(page, number);
  await survives(page, number);
});

test("a number that vanishes at Telnyx becomes inactive by itself, and its history says why", async (t) => {
  const page = await signedIn(t);
  const number = await bought(page, "619");
  await page.getByRole("button", { name: `Remove ${number} at Telnyx` }).click();
  await says(page, number, "inactive");
  await page.getByRole("button", { name: `History ${number}` }).click();
  await page.getByRole("list", { name: "History" }).getByText("Corrected after a comparison with Telnyx").waitFor();
});
