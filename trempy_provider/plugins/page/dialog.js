/**
 * Questions before something is done; the browser's own dialogs are not allowed inside Airflow's frame.
 */

import { h } from "./dom.js";

let numbered = 0;

/**
 * Ask, and return whether the answer was yes.
 * :param question: {title, body: nodes, confirm: label, danger?, typed?: what has to be typed first}
 */
export function ask({ title, body, confirm, danger = false, typed = null }) {
  const id = `dialog-${(numbered += 1)}`;
  const yes = h("button", { type: "submit", class: danger ? "danger" : "primary", ".disabled": typed !== null }, confirm);
  const no = h("button", { type: "button", click: () => dialog.close("no") }, "Cancel");
  const input = typed === null ? null : h("input", { autocomplete: "off", spellcheck: "false", input: () => (yes.disabled = input.value !== typed) });
  const label = input && h("label", { class: "field" }, "Type ", h("code", {}, typed), " to confirm", input);
  const form = h(
    "form",
    {
      submit: (event) => {
        event.preventDefault();
        if (!yes.disabled) dialog.close("yes");
      },
    },
    h("h2", { id }, title),
    ...body,
    label,
    h("div", { class: "buttons" }, no, yes),
  );
  const dialog = h("dialog", { "aria-labelledby": id }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
    (input ?? (danger ? no : yes)).focus();
  });
}
