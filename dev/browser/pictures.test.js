// The README's screenshots, and the page as it looks in the dark and in a narrow window.

import { test } from "node:test";

import { buy, offered, open, pictures, row, says, search, signedIn, turnOn } from "./support.js";

const picture = (page, name) => page.screenshot({ path: `${pictures}/${name}.png` });

test("the first screen shows who can sign in", async (t) => {
  const page = await open(t);
  await page.getByRole("button", { name: /^Sign in as owner / }).waitFor();
  await picture(page, "welcome");
});

test("a search with results fits the window", async (t) => {
  const page = await signedIn(t, "owner", { viewport: { width: 1280, height: 790 } });
  await page.getByText("None. The database and Telnyx agree.").waitFor();
  await search(page, "720");
  await picture(page, "search");
});

test("the history of a number shows the fault that its purchase survived", async (t) => {
  const page = await signedIn(t, "owner", { viewport: { width: 1100, height: 640 }, expected: ["failed POST /phone-numbers-purchase", "console: Access to fetch"] });
  await search(page, "303");
  await turnOn(page, "Kill the function in the middle");
  const number = await offered(page);
  await buy(page, number);
  await says(page, number, "active");
  await page.getByRole("button", { name: `Assign ${number}`, exact: true }).click();
  await page.getByRole("button", { name: "Confirm" }).click();
  await says(page, number, "Reception");
  await page.getByRole("button", { name: `History ${number}` }).click();
  const history = page.getByRole("list", { name: "History" });
  await history.getByText("Assigned").waitFor();
  await history.getByText("No answer reached this page").waitFor();
  await picture(page, "timeline");
});

test("the page is usable in a narrow window, without scrolling sideways", async (t) => {
  const page = await signedIn(t, "owner", { viewport: { width: 360, height: 780 }, colorScheme: "dark" });
  await search(page, "720");
  await row(page, "+1").first().waitFor();
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (overflow > 0) throw new Error(`${overflow} pixels are beyond the window`);
  await page.screenshot({ path: `${pictures}/narrow.png`, fullPage: true });
});
