/**
 * What can be done to a task. Each action starts a run in Airflow, asked for first.
 */

import { send } from "./api.js";
import { ask } from "./dialog.js";
import { h, nameOf } from "./dom.js";
import { count } from "./format.js";
import { complain, tell } from "./messages.js";

/** Actions on the whole task, in the order of the toolbar. */
export const ACTIONS = {
  full_load: { label: "Full load", explain: "Loads all tables from zero, those that are loaded already, too.", danger: true },
  pause: { label: "Pause", explain: "Stops following changes. The source keeps its WAL for the task until it is resumed." },
  resume: { label: "Resume", explain: "Follows changes again, from where the task stopped." },
  refresh_tables: { label: "Refresh tables", explain: "Picks up tables that are newly named or newly match a pattern." },
  validate: { label: "Validate", explain: "Compares the rows of source and target while changes go on." },
  sync_sequences: { label: "Sync sequences", explain: "Sets the target's sequences where the source's stand." },
  tear_down: {
    label: "Tear down",
    danger: true,
    explain: "Removes the task's slot, publication, queues and metadata. The rows in the target stay. Starting again needs a full load.",
  },
};

/** Make the toolbar of a task; `update(can)` follows the rights. */
export class Toolbar {
  #buttons = new Map();
  element = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Actions" });

  constructor(name, done) {
    for (const [action, { label }] of Object.entries(ACTIONS)) {
      const click = () => confirmAction(name, action).then((started) => started && done());
      const button = h("button", { type: "button", class: action === "tear_down" ? "danger" : null, click, disabled: true }, label);
      this.#buttons.set(action, button);
      this.element.append(button);
    }
  }

  update(can) {
    for (const [action, button] of this.#buttons) allow(button, can[action]);
  }
}

/** Switch a button by a right; say why it is off. */
export function allow(button, right) {
  button.disabled = !right;
  button.title = right ? "" : "You lack the right to do this, or the task has no DAG for it";
}

async function confirmAction(name, action) {
  const { label, explain, danger } = ACTIONS[action];
  const repair = action === "validate" ? h("input", { type: "checkbox" }) : null;
  const body = [h("p", {}, explain), h("p", {}, "Task ", nameOf(name))];
  if (repair) body.push(h("label", { class: "check" }, repair, "Repair rows that differ, in the target"));
  const typed = action === "tear_down" ? name : null;
  if (!(await ask({ title: `${label}?`, body, confirm: label, danger, typed }))) return false;
  const body_ = repair ? { repair: repair.checked } : typed ? { confirm: typed } : {};
  return start(name, action, label, body_);
}

/** Ask, then start an action on chosen things; return whether it was started. */
export async function startOnChosen(name, action, { label, explain, chosen, parameters, danger = false }) {
  const shown = h("ul", { class: "chosen" }, chosen.map((one) => h("li", {}, nameOf(one))));
  const body = [h("p", {}, explain), chosen.length ? h("p", {}, `${count(chosen.length)} chosen:`) : null, shown].filter(Boolean);
  if (!(await ask({ title: `${label}?`, body, confirm: label, danger }))) return false;
  return start(name, action, label, parameters);
}

async function start(name, action, label, parameters) {
  try {
    const run = await send("POST", ["tasks", name, "actions", action], parameters);
    tell(`${label}: run ${run.run_id} of ${run.dag_id} has been started.`, run.url);
    return true;
  } catch (error) {
    complain(`${label} was not started: ${error.message}.`.replace("..", "."), error.problems);
    return false;
  }
}
