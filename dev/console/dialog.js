// Dialogs: a question with a form, and a sheet at the side.

import { el } from "./dom.js";
import { notice } from "./problem.js";

let count = 0;

const open = (dialog) => {
  const before = document.activeElement;
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  dialog.showModal();
  return dialog;
};

// Asks for input. `act` gets the form's data and returns a problem, which is shown, or nothing, which closes the dialog.
export const ask = ({ title, content = [], confirm, danger = false, act }) => {
  const id = `dialog-${(count += 1)}`;
  const failure = el("div", {});
  const submit = el("button", { class: danger ? "danger" : "primary", type: "submit" }, confirm);
  const answer = async (event) => {
    event.preventDefault();
    if (submit.getAttribute("aria-busy") === "true") return;
    submit.setAttribute("aria-busy", "true");
    const problem = await act(new FormData(event.target));
    submit.removeAttribute("aria-busy");
    if (problem) failure.replaceChildren(notice(problem));
    else dialog.close();
  };
  const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const buttons = el("div", { class: "buttons" }, cancel, submit);
  const form = el("form", { onsubmit: answer }, el("h2", { id }, title), content, failure, buttons);
  const dialog = open(el("dialog", { "aria-labelledby": id }, form));
};

// Shows something at the side of the window.
export const sheet = (title, ...content) => {
  const id = `dialog-${(count += 1)}`;
  const close = el("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const header = el("header", {}, el("h2", { id }, title), close);
  const dialog = open(el("dialog", { class: "side", "aria-labelledby": id }, el("div", { class: "sheet" }, header, content)));
};
