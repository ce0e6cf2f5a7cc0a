// The history of one number: what the database recorded, and what this page asked for.

import { el } from "./dom.js";
import { sheet } from "./dialog.js";
import * as format from "./format.js";
import { callsSoFar, send } from "./functions.js";
import { notice } from "./problem.js";

const EVENTS = {
  bought: ["Bought", "good"],
  assigned: ["Assigned to an agent", ""],
  unassigned: ["Unassigned", ""],
  changed: ["Changed", ""],
  released: ["Released", ""],
  reconciled: ["Corrected after a comparison with Telnyx", "wait"],
  deleted: ["Deleted", "bad"],
  expired: ["Purchase expired", "bad"],
};
// The columns that a person reads. The others are the database's own.
const SHOWN = ["status", "friendly_name", "agent_mapping_id", "direction", "monthly_cost"];

export const timeline = async (row, numbers) => {
  const { body, problem } = await send("assign", { query: { id: row.id, include_history: true } });
  const title = el("span", {}, "History of ", format.number(row.phone_number));
  if (problem) return sheet(title, notice(problem));
  const entries = [begun(body.phone_number), ...body.history.map((entry) => recorded(entry, numbers)), ...asked(row.phone_number)];
  entries.sort((one, other) => one.at.localeCompare(other.at));
  const { phone_number: now } = body;
  const price = `${format.money(now.monthly_cost, now.currency)} a month`;
  const facts = el("p", { class: "muted" }, format.status(now.status), " ", [now.friendly_name, price].filter(Boolean).join(" · "));
  return sheet(title, facts, el("ol", { class: "timeline", role: "list", "aria-label": "History" }, entries.map(shown)));
};

const shown = ({ at, title, kind, detail, content }) =>
  el("li", { class: kind }, el("p", { class: "what" }, title), el("p", {}, format.time(at), detail ? ` · ${detail}` : ""), content);

const begun = (row) => ({ at: normal(row.created_at), title: "Purchase recorded", kind: "", detail: "before Telnyx was asked for the number" });

const recorded = ({ at, event, actor, changes }, numbers) => {
  const [title, kind] = EVENTS[event] ?? [event, ""];
  const columns = Object.entries(changes).filter(([column, { from, to }]) => SHOWN.includes(column) && (from ?? null) !== (to ?? null));
  const value = (column, given) => (column === "agent_mapping_id" ? agentOf(given, numbers) : given ?? "none");
  const change = ([column, { from, to }]) => {
    const name = column === "agent_mapping_id" ? "agent" : column.replaceAll("_", " ");
    const before = from === null || from === undefined ? [] : [el("code", {}, String(value(column, from))), " → "];
    return el("li", {}, `${name}: `, before, el("code", {}, String(value(column, to))));
  };
  const content = columns.length ? el("ul", { class: "changes", role: "list" }, columns.map(change)) : null;
  return { at: normal(at), title, kind, detail: `by ${actorOf(actor, numbers)}`, content };
};

const agentOf = (id, { agents }) => agents.find((agent) => agent.id === id)?.ultravox_agent_name ?? id ?? "none";

const WORKERS = { reconcile: "reconcile, which finishes what was interrupted", operator: "an operator", platform: "the platform" };
const actorOf = (actor, { session }) => WORKERS[actor] ?? session.users.find((user) => user.id === actor)?.email ?? actor;

// The purchases of the number that this page asked for and that did not go as planned.
const asked = (number) => {
  const about = callsSoFar().filter(({ path, body }) => path === "/phone-numbers-purchase" && body?.phone_numbers?.some((one) => one.phone_number === number));
  return about.map(({ at, status, answer, replayed, ms }) => {
    if (status === null) return { at: after(at, ms), title: "No answer reached this page", kind: "bad", detail: "the purchase goes on from what was recorded" };
    const kind = status < 300 ? "" : "bad";
    const detail = status === 202 ? "Telnyx has not confirmed the order yet" : answer?.title ?? (replayed ? "the purchase was resumed" : "confirmed by Telnyx");
    return { at: after(at, ms), title: `This page was answered ${status}`, kind, detail };
  });
};

// Times compare as text only with the same number of digits.
const normal = (at) => new Date(at).toISOString();
const after = (at, ms) => new Date(Date.parse(at) + ms).toISOString();
