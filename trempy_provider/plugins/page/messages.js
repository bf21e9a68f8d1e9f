/**
 * What was done, what went wrong, and how old the numbers are.
 */

import { leaveFrame, ownUrl } from "./airflow.js";
import { h, setText } from "./dom.js";
import { time } from "./format.js";

const MOST = 5;
const part = (id) => document.getElementById(id);

/** Tell that something was done; with a link where the run can be followed. */
export function tell(text, url = null) {
  add("notice", text, ownUrl(url) && h("a", { href: ownUrl(url), click: leaveFrame }, "Open the run"));
}

/** Tell that something could not be done, with the fields it is about. */
export function complain(text, problems = []) {
  add("notice bad", text, problems.length ? problemList(problems) : null);
}

/** List problems of settings: {path, message}. */
export function problemList(problems) {
  return h("ul", { class: "problems" }, problems.map(({ path, message }) => h("li", {}, path ? h("code", {}, path) : null, path ? ": " : null, message)));
}

function add(look, text, more) {
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Close this message", click: () => message.remove() }, "✕");
  const message = h("div", { class: look }, h("div", {}, text, " ", more), close);
  part("messages").prepend(message);
  while (part("messages").children.length > MOST) part("messages").lastElementChild.remove();
}

let answeredAt = null;

/** Note that the server has answered, at its own time. */
export function answered(now) {
  answeredAt = now;
  part("trouble").hidden = true;
  setText(part("freshness"), `Updated ${time(now)}`);
}

/** Show that the server has not answered; what is on the page stays. */
export function unanswered(error) {
  const since = answeredAt ? ` What you see is of ${time(answeredAt)}.` : "";
  setText(part("trouble"), `${error.message}.${since}`.replace("..", "."));
  part("trouble").hidden = false;
}
