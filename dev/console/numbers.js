// The agency's numbers: the rows, what can be done with each, and the sums.

import { Keyed, announce, el, fill } from "./dom.js";
import { ask } from "./dialog.js";
import * as format from "./format.js";
import { send } from "./functions.js";
import { notice } from "./problem.js";
import { timeline } from "./timeline.js";

// How often the list is read while a purchase is under way, and otherwise: reconcile and other users change it, too.
const WATCH_MS = 1000;
const IDLE_MS = 5000;
const SHOWN = 200;

export class Numbers {
  rows = [];
  agents = [];
  // What became of the last read: nothing yet, a problem, or null.
  problem = undefined;
  #changed = new EventTarget();
  #timer = null;
  #reading = null;
  #watched = new Set();
  #released = false;
  #summary = null;
  #total = 0;

  constructor(session) {
    this.session = session;
    const headings = ["Number", "Status", "Agent", "Monthly", "Actions"];
    const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, headings.map((heading) => el("th", { role: "columnheader", scope: "col" }, heading))));
    const body = el("tbody", { role: "rowgroup" });
    this.table = new Keyed(body, (row) => this.#row(row));
    this.below = el("div", {});
    this.stats = el("dl", { class: "stats", "aria-label": "Summary" });
    const released = el("input", { type: "checkbox", onchange: (event) => this.#showReleased(event.target.checked) });
    this.element = el(
      "section",
      { class: "card", "aria-labelledby": "numbers-title" },
      el(
        "header",
        {},
        el("h2", { id: "numbers-title" }, "Your numbers"),
        el("div", { class: "end features" }, el("label", { class: "small" }, released, "Show released")),
      ),
      el("div", { class: "rows" }, el("table", { class: "table", role: "table", "aria-labelledby": "numbers-title" }, head, body), this.below),
    );
    this.#show();
  }

  // Calls `listener` after each read of the list.
  onChange(listener) {
    this.#changed.addEventListener("change", listener);
  }

  // The row of a number that the agency holds.
  rowOf(number) {
    return this.rows.find((row) => row.phone_number === number && row.status !== "released");
  }

  // Follows a number from the beginning of its purchase until it is active, whatever answer the purchase gets.
  watch(number) {
    this.#watched.add(number);
    this.read({ quiet: true });
  }

  // The purchase of a number has failed for good.
  unwatch(number) {
    this.#watched.delete(number);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  // Reads the list. Reads do not overlap: who asks during one waits for the next.
  async read({ quiet = false } = {}) {
    while (this.#reading) await this.#reading;
    this.#reading = this.#read(quiet);
    await this.#reading;
    this.#reading = null;
  }

  async #read(quiet) {
    const query = { include_agents: true, limit: SHOWN, include_released: this.#released || null };
    const { body, problem } = await send("list", { query, quiet });
    if (this.#timer === undefined) return;
    this.problem = problem;
    if (!problem) {
      this.#tellOf(body.phone_numbers);
      [this.rows, this.agents] = [body.phone_numbers, body.available_agents];
      [this.#summary, this.#total] = [body.summary, body.pagination.total];
    }
    this.#show();
    this.#changed.dispatchEvent(new Event("change"));
    clearTimeout(this.#timer);
    const unsettled = this.#watched.size > 0 || this.rows.some((row) => row.status === "pending");
    // Who may not read the list now may not in a second.
    if (problem?.status !== 403) this.#timer = setTimeout(() => this.read({ quiet: true }), unsettled ? WATCH_MS : IDLE_MS);
  }

  #tellOf(rows) {
    for (const row of rows.filter(({ status }) => status === "active")) {
      if (this.#watched.delete(row.phone_number)) announce(`${row.phone_number} is active`);
    }
  }

  #showReleased(shown) {
    this.#released = shown;
    this.read();
  }

  #show() {
    const summary = this.#summary;
    const sum = (name) => (summary ? String(summary[name]) : "–");
    const total = summary ? summary.monthly_cost.map(({ amount, currency }) => format.money(amount, currency)).join(" + ") || format.money(0) : "–";
    const stats = [["Numbers", sum("total")], ["Active", sum("active")], ["Pending", sum("pending")], ["Without agent", sum("unassigned")], ["Monthly total", total]];
    fill(this.stats, stats.map(([title, value]) => el("div", {}, el("dt", {}, title), el("dd", {}, value))));
    this.table.show(this.rows, (row) => row.id, (row) => JSON.stringify([row, this.agents]));
    const below = [];
    if (this.problem) below.push(el("div", { class: "inset" }, notice(this.problem)));
    else if (summary && this.rows.length === 0) below.push(el("p", { class: "empty" }, "No numbers yet. Search for one above."));
    else if (this.rows.length < this.#total) below.push(el("p", { class: "empty" }, `The newest ${this.rows.length} of ${this.#total}.`));
    else if (this.problem === undefined) below.push(el("p", { class: "empty" }, "Loading…"));
    fill(this.below, below);
  }

  #row(row) {
    const cell = (...content) => el("td", { role: "cell" }, ...content);
    const agent = row.agent_mappings?.ultravox_agent_name;
    return el(
      "tr",
      { role: "row" },
      cell(format.number(row.phone_number), row.friendly_name ? el("span", { class: "name" }, row.friendly_name) : null),
      cell(format.status(row.status)),
      cell(el("span", agent ? {} : { class: "muted" }, agent ?? "No agent"), agent && row.direction ? el("span", { class: "name" }, row.direction) : ""),
      cell(el("span", { class: "price" }, format.money(row.monthly_cost, row.currency))),
      cell(el("div", { class: "actions" }, this.#actions(row))),
    );
  }

  #actions(row) {
    const action = (name, act, warn = false) =>
      el("button", { type: "button", class: warn ? "quiet warn" : "quiet", "aria-label": `${name} ${row.phone_number}`, onclick: act }, name);
    const history = action("History", () => timeline(row, this));
    if (row.status === "released") return [history];
    return [
      row.agent_mappings ? action("Unassign", (event) => this.#unassign(row, event.target)) : action("Assign", () => this.#assign(row)),
      action("Rename", () => this.#rename(row)),
      history,
      action("Release", () => this.#release(row), true),
    ];
  }

  async #done(sent, text) {
    const { problem } = await sent;
    if (problem) return problem;
    announce(text);
    await this.read();
    return null;
  }

  #assign(row) {
    const choice = ({ id, ultravox_agent_name: name, voice }, index) =>
      el("label", {}, el("input", { type: "radio", name: "agent", value: id, checked: index === 0 }), name, el("small", {}, voice));
    const direction = el("select", { name: "direction", id: "direction" }, ["inbound", "outbound"].map((value) => el("option", { value }, value)));
    ask({
      title: `Assign ${row.phone_number}`,
      content: [
        el("fieldset", { class: "choice" }, el("legend", { class: "label" }, "Agent that takes the calls"), this.agents.map(choice)),
        el("div", {}, el("label", { for: "direction" }, "Direction"), direction),
      ],
      confirm: "Confirm",
      act: (data) => {
        const body = { phone_number_id: row.id, agent_mapping_id: data.get("agent"), direction: data.get("direction") };
        return this.#done(send("assign", { method: "POST", body }), `${row.phone_number} is assigned`);
      },
    });
  }

  async #unassign(row, button) {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    const problem = await this.#done(send("assign", { method: "DELETE", query: { phone_number_id: row.id } }), `${row.phone_number} is unassigned`);
    button.removeAttribute("aria-busy");
    if (problem) ask({ title: `Unassign ${row.phone_number}`, content: [notice(problem)], confirm: "Close", act: () => null });
  }

  #rename(row) {
    const input = el("input", { name: "name", id: "friendly-name", value: row.friendly_name ?? "", maxlength: 255, autocomplete: "off" });
    ask({
      title: `Rename ${row.phone_number}`,
      content: [el("div", {}, el("label", { for: "friendly-name" }, "Friendly name"), input)],
      confirm: "Save",
      act: (data) => {
        const body = { phone_number_id: row.id, friendly_name: data.get("name").trim() || null };
        return this.#done(send("assign", { method: "PATCH", body }), `${row.phone_number} is renamed`);
      },
    });
  }

  #release(row) {
    const key = crypto.randomUUID();
    ask({
      title: `Release ${row.phone_number}?`,
      content: [el("p", {}, `${row.phone_number}${row.friendly_name ? ` (${row.friendly_name})` : ""} goes back to Telnyx. Callers no longer reach you on it. This cannot be undone.`)],
      confirm: "Confirm",
      danger: true,
      act: () => {
        const body = { phone_number_ids: [row.id], confirm: true };
        return this.#done(send("release", { method: "POST", body, key }), `${row.phone_number} is released`);
      },
    });
  }
}
