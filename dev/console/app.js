// Starts the page: who is signed in, and what that person sees.

import { announce, el } from "./dom.js";
import { Backstage } from "./backstage.js";
import { consoleApi } from "./console.js";
import { actAs, useFunctionsAt } from "./functions.js";
import { Numbers } from "./numbers.js";
import { Search } from "./search.js";
import { welcome } from "./welcome.js";

const main = document.getElementById("content");
let shown = [];

// Shows a screen from its top, and has the keyboard and screen readers begin there.
const show = (screen) => {
  main.replaceChildren(screen);
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
};

const leave = () => {
  shown.forEach((part) => part.stop());
  shown = [];
};

const signOut = async (problem) => {
  leave();
  document.getElementById("agency").replaceChildren();
  document.getElementById("who").replaceChildren();
  const session = await consoleApi("GET", "session");
  if (!session) {
    show(el("p", { class: "notice", role: "alert" }, "cargo dev does not answer. Start it, and load this page again."));
    return;
  }
  useFunctionsAt(session.base_url);
  show(welcome(session, (user) => signIn(session, user), problem));
};

const signIn = (session, user) => {
  actAs(user);
  document.getElementById("agency").replaceChildren(user.agency ?? "The platform");
  document.getElementById("who").replaceChildren(
    el("div", {}, user.email, el("span", {}, user.role)),
    el("button", { type: "button", onclick: () => signOut() }, "Sign out"),
  );
  const numbers = new Numbers(session);
  const backstage = new Backstage();
  const search = new Search(numbers);
  shown = [numbers, backstage];
  const title = el("h1", { class: "visually-hidden" }, `Phone numbers of ${user.agency ?? "the platform"}`);
  show(el("div", { class: "columns" }, el("div", { class: "stack" }, title, numbers.stats, search.element, numbers.element), backstage.element));
  announce(`Signed in as ${user.email}`);
  numbers.read();
};

// One request may fail after another: the first one ends the session.
document.addEventListener("session-expired", ({ detail }) => {
  if (shown.length) signOut({ ...detail, title: "Your session has expired. Sign in again." });
});

signOut();
