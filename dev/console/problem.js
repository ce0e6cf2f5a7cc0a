// Shows a problem document as it is: its title, its sentence, the fields that it names, and its code.

import { el } from "./dom.js";

export const notice = (problem) =>
  el(
    "div",
    { class: problem.code ? "notice" : "notice unsure", role: "alert" },
    el("strong", {}, problem.title),
    el("span", {}, problem.detail),
    (problem.errors ?? []).map(({ field, message }) => el("div", {}, el("code", {}, field), ` ${message}`)),
    problem.code ? el("div", { class: "small" }, el("code", {}, problem.code)) : null,
  );
