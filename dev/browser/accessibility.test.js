// axe-core finds no violations, in light and dark, on each screen.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { bought, open, search, signIn, turnOn, withoutFaults } from "./support.js";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

const isAccessible = async (page, screen) => {
  // A script of the tests, which the page's own policy would refuse: it is evaluated through the browser's debugger.
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const { violations: found, passes } = await globalThis.axe.run(document);
    if (passes.length < 10) throw new Error("axe-core has looked at nothing");
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
  });
  assert.deepEqual(violations, [], screen);
};

for (const [colorScheme, areaCode] of [["light", "512"], ["dark", "713"]]) {
  test(`every screen is accessible in ${colorScheme}`, async (t) => {
    const page = await open(t, { colorScheme, expected: ["402 POST /phone-numbers-purchase"] });
    await page.getByRole("button", { name: /^Sign in as owner / }).waitFor();
    await isAccessible(page, "welcome");
    await signIn(page, "owner");
    const number = await bought(page, areaCode);
    await isAccessible(page, "results and numbers");

    t.after(withoutFaults);
    await turnOn(page, "Refuse orders");
    await page.getByRole("button", { name: /^Buy \+1/ }).first().click();
    await page.getByRole("alert").first().waitFor();
    await isAccessible(page, "a problem");

    for (const name of ["Assign", "Rename", "Release"]) {
      await page.getByRole("button", { name: `${name} ${number}`, exact: true }).click();
      await page.getByRole("dialog").waitFor();
      await isAccessible(page, name);
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
    await page.getByRole("button", { name: `History ${number}` }).click();
    await page.getByRole("list", { name: "History" }).waitFor();
    await isAccessible(page, "history");
    await page.keyboard.press("Escape");
    await page.locator("details summary").first().click();
    await isAccessible(page, "a request");
  });
}

test("a narrow window is accessible", async (t) => {
  const page = await open(t, { viewport: { width: 360, height: 780 } });
  await signIn(page, "owner");
  await search(page, "720");
  await isAccessible(page, "narrow");
});
