// What a developer sees beside the page: faults to switch on, what Telnyx holds, findings, and each request.

import { Keyed, announce, el, fill } from "./dom.js";
import { consoleApi, forward } from "./console.js";
import { callsSoFar, onCall } from "./functions.js";
import { curl, typed } from "./examples.js";
import * as format from "./format.js";

const READ_EVERY_MS = 2000;
const ORDERS = "/v2/number_orders";
const DELAYED_MS = 15_000;
const lost = { method: "POST", path_prefix: ORDERS, kind: "drop_after" };

// The faults. `isOn` tells from the simulator's state and from whether a kill is armed.
const FAULTS = [
  {
    name: "Lose the next answer",
    effect: "Telnyx takes the next order, and the connection breaks before its answer.",
    isOn: ({ faults }) => faults.some((fault) => fault.kind === lost.kind && fault.path_prefix === ORDERS),
    on: () => forward("POST", "faults", lost),
    off: (state) => withoutFault(state, (fault) => fault.kind === lost.kind),
  },
  {
    name: "Delay orders",
    effect: `Orders stay pending for ${DELAYED_MS / 1000} seconds.`,
    isOn: ({ settings }) => settings.order_delay_ms === DELAYED_MS,
    on: () => forward("PUT", "settings", { order_delay_ms: DELAYED_MS }),
    off: () => forward("PUT", "settings", { order_delay_ms: 1400 }),
  },
  {
    name: "Refuse orders",
    effect: "Telnyx says that the account has no money.",
    isOn: ({ settings }) => settings.insufficient_funds,
    on: () => forward("PUT", "settings", { insufficient_funds: true }),
    off: () => forward("PUT", "settings", { insufficient_funds: false }),
  },
  {
    name: "Kill the function in the middle",
    effect: "Telnyx takes the next order, and the process that placed it is killed before the answer.",
    isOn: (_, { armed }) => armed,
    on: () => consoleApi("PUT", "kill", { armed: true }),
    off: () => consoleApi("PUT", "kill", { armed: false }),
  },
];

// The simulator clears all of its faults at once: the others are added again.
const withoutFault = async ({ faults }, isIt) => {
  await forward("DELETE", "faults");
  for (const fault of faults.filter((one) => !isIt(one))) await forward("POST", "faults", fault);
};

export class Backstage {
  #timer = null;
  #state = null;

  constructor() {
    this.switches = FAULTS.map((fault) => this.#switch(fault));
    // The buttons in it are replaced as a whole: their clicks are handled here.
    this.telnyx = el("div", { onclick: (event) => this.#remove(event.target.dataset.number) });
    fill(this.telnyx, holdings({ numbers: [], orders: [], requests: [] }));
    this.findings = el("div", {}, el("p", { class: "small muted" }, "Loading…"));
    const list = el("ul", { class: "calls", role: "list" });
    this.calls = new Keyed(list, (call) => this.#call(call));
    const none = el("p", { class: "small muted" }, "Every click that calls a function shows here, as curl and as a typed call.");
    const showCalls = () => {
      none.hidden = callsSoFar().length > 0;
      this.calls.show(callsSoFar(), (call) => call.id, () => "");
    };
    onCall(showCalls);
    this.element = el(
      "aside",
      { class: "stack backstage", "aria-label": "For developers" },
      card("Break something", el("ul", { class: "switches", role: "list" }, this.switches.map(({ element }) => element))),
      card("What Telnyx holds", this.telnyx),
      card("Findings for an operator", this.findings),
      card("Requests", none, list),
    );
    showCalls();
    this.#read();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #read() {
    clearTimeout(this.#timer);
    const [state, kill, found] = await Promise.all([forward("GET", "state"), consoleApi("GET", "kill"), consoleApi("GET", "findings")]);
    if (this.#timer === undefined) return;
    if (state && kill && found) this.#show(state, kill, found);
    this.#timer = setTimeout(() => this.#read(), READ_EVERY_MS);
  }

  #show(state, kill, { findings = [] }) {
    this.#state = state;
    for (const { fault, button } of this.switches) button.setAttribute("aria-checked", String(Boolean(fault.isOn(state, kill))));
    fill(this.telnyx, holdings(state));
    fill(this.findings, shownFindings(findings));
  }

  #switch(fault) {
    const id = `fault-${FAULTS.indexOf(fault)}`;
    const turn = async () => {
      const on = button.getAttribute("aria-checked") !== "true";
      button.setAttribute("aria-checked", String(on));
      await (on ? fault.on() : fault.off(this.#state));
      announce(`${fault.name}: ${on ? "on" : "off"}`);
      await this.#read();
    };
    const button = el("button", { type: "button", class: "switch", role: "switch", "aria-checked": "false", "aria-labelledby": id, "aria-describedby": `${id}-effect`, onclick: turn });
    const element = el("li", {}, el("p", { class: "title", id }, fault.name), el("p", { id: `${id}-effect` }, fault.effect), button);
    return { fault, button, element };
  }

  async #remove(id) {
    if (!id) return;
    await forward("DELETE", `numbers/${id}`);
    await this.#read();
  }

  #call(call) {
    const outcome = call.status === null ? "no answer" : String(call.status);
    const kind = call.status === null ? "wait" : call.status < 300 ? "good" : "bad";
    const answer = call.status === null ? "No answer arrived." : JSON.stringify(call.answer, null, 2) ?? "";
    return el(
      "li",
      {},
      el(
        "details",
        {},
        el("summary", {}, el("code", {}, `${call.method} ${call.path}`), el("span", { class: `code ${kind}` }, outcome), el("span", {}, format.time(call.at)), el("span", { class: "small muted" }, `${call.ms} ms`)),
        el("h3", {}, "curl"), code(curl(call)),
        el("h3", {}, "Typed call"), code(typed(call)),
        el("h3", {}, "Answer"), code(answer),
      ),
    );
  }
}

const code = (text) => el("pre", { tabindex: "0" }, text);
const card = (title, ...content) => el("section", { class: "card", "aria-label": title }, el("header", {}, el("h2", {}, title)), el("div", { class: "body" }, content));

const holdings = ({ numbers, orders, requests }) => {
  const own = (number) =>
    el(
      "li",
      {},
      format.number(number.phone_number),
      el("span", { class: "muted" }, number.status),
      el("button", { type: "button", class: "quiet warn end", "data-number": number.id, "aria-label": `Remove ${number.phone_number} at Telnyx` }, "Remove"),
    );
  const request = ({ method, path, status, faulted }) => el("li", {}, el("code", {}, `${method} ${brief(path)}`), el("span", { class: "end muted" }, status === null ? "cut" : `${status}${faulted ? " (fault)" : ""}`));
  const recent = requests.slice(-12).reverse();
  const pending = orders.filter((order) => order.status === "pending").length;
  return [
    el("p", { class: "small muted" }, `${numbers.length} numbers, ${orders.length} orders, ${pending} pending`),
    el("ul", { class: "facts scroll", role: "list", tabindex: "0", "aria-label": "Numbers at Telnyx" }, numbers.map(own)),
    el("h3", {}, "Last requests of the functions"),
    el("ul", { class: "facts scroll", role: "list", tabindex: "0", "aria-label": "Requests to Telnyx" }, recent.map(request)),
  ];
};

// A path without its version, and with ids as short as they can be told apart.
const brief = (path) => path.replace(/^\/v2/, "").replace(/([0-9a-f]{8})-[0-9a-f-]{27}/g, "$1…");

const shownFindings = (findings) => {
  if (findings.length === 0) return el("p", { class: "small muted" }, "None. The database and Telnyx agree.");
  const finding = ({ kind, detail, number, agency }) => el("li", {}, el("div", {}, el("code", {}, kind), ` ${number ?? ""} ${agency ?? ""}`, el("p", { class: "muted" }, detail)));
  return el("ul", { class: "facts", role: "list" }, findings.map(finding));
};
