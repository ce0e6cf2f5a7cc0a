// Finding a number and buying it.

import { announce, el, fill } from "./dom.js";
import * as format from "./format.js";
import { send } from "./functions.js";
import { notice } from "./problem.js";

const COUNTRIES = { US: "United States", CA: "Canada", GB: "United Kingdom", DE: "Germany", FR: "France", ES: "Spain", NL: "Netherlands", IE: "Ireland", MX: "Mexico", AU: "Australia" };
const TYPES = { "": "Any type", local: "Local", toll_free: "Toll-free", mobile: "Mobile", national: "National" };
const FEATURES = ["voice", "sms", "mms", "fax"];
const SHOWN = 8;

const field = (label, control) => el("div", {}, el("label", { for: control.id }, label), control);
const choice = (id, options) => el("select", { id, name: id }, Object.entries(options).map(([value, text]) => el("option", { value }, text)));
const text = (id, properties = {}) => el("input", { id, name: id, autocomplete: "off", ...properties });

export class Search {
  // Purchases that have no final answer yet, by number: the key of the attempt and its body. Repeating a request with the same
  // key never buys twice; a new key would be a new request.
  #attempts = new Map();
  #busy = new Set();
  #failures = new Map();
  #offers = null;
  #searches = 0;

  constructor(numbers) {
    this.numbers = numbers;
    numbers.onChange(() => this.#show());
    const feature = (name) => el("label", {}, el("input", { type: "checkbox", name: "features", value: name }), format.feature(name));
    this.ceiling = text("ceiling", { inputmode: "decimal", value: "2.00" });
    this.button = el("button", { class: "primary", type: "submit" }, "Search");
    // Its buttons are replaced with their rows: their clicks are handled here.
    this.results = el("div", { onclick: (event) => this.#buy(event.target.dataset.number) });
    const form = el(
      "form",
      { role: "search", "aria-label": "Numbers on offer", onsubmit: (event) => this.#search(event) },
      el(
        "div",
        { class: "filters" },
        field("Country", choice("country_code", COUNTRIES)),
        field("Type", choice("phone_number_type", TYPES)),
        field("Area code", text("area_code", { inputmode: "numeric", placeholder: "312" })),
        field("City", text("city", { placeholder: "Chicago" })),
        field("Contains digits", text("contains", { inputmode: "numeric", placeholder: "555" })),
      ),
      el(
        "div",
        { class: "search-row" },
        el("fieldset", {}, el("legend", { class: "label" }, "Capabilities"), el("div", { class: "features" }, FEATURES.map(feature))),
        this.button,
      ),
    );
    const price = el("div", { class: "ceiling end small" }, el("label", { for: "ceiling" }, "Pay at most, USD a month"), this.ceiling);
    this.element = el(
      "section",
      { class: "card", "aria-labelledby": "search-title" },
      el("header", {}, el("h2", { id: "search-title" }, "Find a number"), price),
      el("div", { class: "body" }, form),
      this.results,
    );
  }

  async #search(event) {
    event.preventDefault();
    const data = new FormData(event.target);
    const features = data.getAll("features").join(",");
    const query = Object.fromEntries([...data].filter(([name]) => name !== "features").map(([name, value]) => [name, value.trim()]));
    const search = (this.#searches += 1);
    this.button.setAttribute("aria-busy", "true");
    this.#offers = "loading";
    this.#show();
    const { body, problem } = await send("search", { query: { ...query, features, limit: SHOWN } });
    // A later search may have been answered first.
    if (search !== this.#searches) return;
    this.button.removeAttribute("aria-busy");
    this.#offers = { problem, body };
    this.#failures.clear();
    this.#show();
    announce(problem ? problem.title : `${body.phone_numbers.length} numbers found`);
  }

  #show() {
    const focused = this.results.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    fill(this.results, this.#found());
    // A button that was replaced keeps the focus.
    if (focused && !this.results.contains(document.activeElement)) this.results.querySelector(`[aria-label="${focused}"]`)?.focus();
  }

  #found() {
    if (this.#offers === null) return [];
    if (this.#offers === "loading") return this.#table(Array.from({ length: SHOWN }, () => this.#skeleton()));
    const { problem, body } = this.#offers;
    if (problem) return el("div", { class: "inset" }, notice(problem));
    if (body.phone_numbers.length === 0) return el("p", { class: "empty" }, "No number matches. Try fewer filters.");
    return this.#table(body.phone_numbers.flatMap((offer) => this.#rows(offer)));
  }

  #table(rows) {
    const headings = ["Number", "Region", "Type", "Capabilities", "Price", "Purchase"];
    const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, headings.map((heading) => el("th", { role: "columnheader", scope: "col" }, heading))));
    return el("table", { class: "table", role: "table", "aria-label": "Numbers on offer" }, head, el("tbody", { role: "rowgroup" }, rows));
  }

  #skeleton() {
    const cell = (...content) => el("td", { role: "cell" }, ...content);
    const line = () => el("span", { class: "skeleton" });
    const price = el("span", { class: "price" }, line(), el("span", {}, line()));
    return el("tr", { role: "row", "aria-hidden": "true" }, cell(line()), cell(line()), cell(line()), cell(line()), cell(price), cell(el("span", { class: "skeleton" })));
  }

  #rows(offer) {
    const cell = (...content) => el("td", { role: "cell" }, ...content);
    const row = el(
      "tr",
      { role: "row" },
      cell(format.number(offer.phone_number)),
      cell(el("span", { class: "region" }, format.region(offer))),
      cell(format.type(offer.phone_number_type)),
      cell(format.capabilities(offer)),
      cell(el("span", { class: "price" }, format.money(offer.monthly_cost, offer.currency), el("span", {}, `${format.money(offer.upfront_cost, offer.currency)} once`))),
      cell(this.#purchase(offer)),
    );
    const failure = this.#failures.get(offer.phone_number);
    const held = this.numbers.rowOf(offer.phone_number)?.status === "active";
    return failure && !held ? [row, el("tr", { class: "problem", role: "row" }, el("td", { role: "cell", colspan: 6 }, notice(failure)))] : [row];
  }

  // The status of a number that the agency holds; else the button, also while nobody knows what became of the purchase.
  #purchase(offer) {
    const { phone_number: number } = offer;
    const status = this.numbers.rowOf(number)?.status;
    if (status === "active" || (status && !this.#failures.has(number))) return format.status(status);
    const busy = this.#busy.has(number);
    const label = busy ? "Buying…" : this.#attempts.has(number) ? "Try again" : "Buy";
    return el("button", { type: "button", class: "primary", "aria-label": `Buy ${number}`, "aria-busy": busy ? "true" : null, "data-number": number }, label);
  }

  async #buy(number) {
    if (!number || this.#busy.has(number)) return;
    const body = { phone_numbers: [{ phone_number: number }], max_monthly_cost: this.ceiling.value.trim() };
    const attempt = this.#attempts.get(number);
    // The key belongs to one body: with another ceiling it is another attempt.
    const key = attempt && attempt.body.max_monthly_cost === body.max_monthly_cost ? attempt.key : crypto.randomUUID();
    this.#attempts.set(number, { key, body });
    this.#busy.add(number);
    this.#failures.delete(number);
    this.#show();
    this.numbers.watch(number);
    const { problem } = await send("purchase", { method: "POST", body, key });
    this.#busy.delete(number);
    if (problem) this.#failures.set(number, problem);
    if (!problem || !problem.retryable) this.#attempts.delete(number);
    announce(problem ? problem.title : `${number}: the purchase was accepted`);
    if (problem && !problem.retryable) this.numbers.unwatch(number);
    await this.numbers.read();
  }
}
