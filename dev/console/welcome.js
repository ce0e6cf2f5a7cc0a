// The first screen: who to sign in as.

import { el } from "./dom.js";
import { notice } from "./problem.js";

export const welcome = (session, signIn, problem) => {
  const groups = [...session.agencies.map((name) => [name, name]), [null, "The platform"]];
  const person = (user) => el("button", { type: "button", onclick: () => signIn(user) }, el("span", {}, `Sign in as ${user.key}`), el("code", {}, user.role), el("small", {}, user.email));
  const group = ([agency, title]) =>
    el(
      "section",
      { class: "card", "aria-label": title },
      el("header", {}, el("h2", {}, title)),
      el("div", { class: "people" }, session.users.filter((user) => user.agency === agency).map(person)),
    );
  return el(
    "div",
    { class: "welcome" },
    el(
      "header",
      {},
      el("h1", {}, "Who are you?"),
      el("p", {}, "Search, buy, assign and release phone numbers as a user of one of the demo agencies. Telnyx is simulated: nothing costs money."),
    ),
    problem ? notice(problem) : null,
    el("div", { class: "agencies" }, groups.map(group)),
  );
};
