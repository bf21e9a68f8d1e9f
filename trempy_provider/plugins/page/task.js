/**
 * One replication task: its state, its actions, and a tab for each thing to look at.
 */

import { Toolbar } from "./actions.js";
import { dagUrl, leaveFrame } from "./airflow.js";
import { get } from "./api.js";
import { h, keepingFocus, nameOf, setText, visible } from "./dom.js";
import * as format from "./format.js";
import { answered } from "./messages.js";
import { fullText, isAlarming, reasons, showList, showTiles, stagesText } from "./overview.js";
import { taskHash } from "./router.js";
import { showState, stateBadge } from "./states.js";
import { BatchesTab, ErrorsTab } from "./tab_lists.js";
import { DeadLettersTab } from "./tab_dead_letters.js";
import { HistoryTab } from "./tab_history.js";
import { SettingsTab } from "./tab_settings.js";
import { TablesTab } from "./tab_tables.js";
import { ValidationTab } from "./tab_validation.js";

const TABS = {
  tables: ["Tables", TablesTab],
  history: ["History", HistoryTab],
  batches: ["Batches", BatchesTab],
  errors: ["Errors", ErrorsTab],
  dead_letters: ["Dead letters", DeadLettersTab],
  validation: ["Validation", ValidationTab],
  settings: ["Settings", SettingsTab],
};

/** The screen of a task; `show(tab)` changes the tab without losing what the others hold. */
export class TaskScreen {
  seconds = 4;
  isKnown = false;
  #badge = stateBadge("unknown");
  #reasons = h("ul", { class: "reasons" });
  #tiles = h("dl", { class: "tiles" });
  #stages = h("p", { class: "muted" });
  #dags = h("p", { class: "muted" });
  #tabs = new Map();
  #buttons = new Map();
  #panel = h("div", { role: "tabpanel", id: "panel", tabindex: "-1" });
  #current = null;
  #latest = null;

  constructor(name, again) {
    this.name = name;
    this.title = `${name} – Replication`;
    this.again = again;
    this.toolbar = new Toolbar(name, again);
    const list = h("div", { class: "tabs", role: "tablist", "aria-label": "Parts of the task", keydown: (event) => this.#key(event) });
    for (const [tab, [label]] of Object.entries(TABS)) {
      const click = () => (location.hash = taskHash(name, tab));
      const button = h("button", { type: "button", role: "tab", id: `tab-${tab}`, "aria-controls": "panel", click }, label);
      this.#buttons.set(tab, button);
      list.append(button);
    }
    this.element = h(
      "div",
      {},
      h("p", {}, h("a", { href: "#/" }, "← All tasks")),
      h("div", { class: "heading" }, h("h1", {}, nameOf(name)), this.#badge),
      this.#reasons,
      this.#tiles,
      this.#stages,
      this.toolbar.element,
      this.#dags,
      list,
      this.#panel,
    );
  }

  /** Show a tab. */
  show(tab) {
    const known = tab in TABS ? tab : "tables";
    for (const [key, button] of this.#buttons) {
      button.setAttribute("aria-selected", String(key === known));
      button.tabIndex = key === known ? 0 : -1;
    }
    if (!this.#tabs.has(known)) this.#tabs.set(known, new TABS[known][1](this.name, this.again));
    this.#current = this.#tabs.get(known);
    this.#panel.setAttribute("aria-labelledby", `tab-${known}`);
    keepingFocus(() => this.#panel.replaceChildren(this.#current.element));
    if (this.#latest) this.#current.update?.(this.#latest);
  }

  async ask(isCurrent) {
    const tab = this.#current;
    const [task, listed] = await Promise.allSettled([get(["tasks", this.name]), tab.ask?.(isCurrent)]);
    if (!isCurrent()) return;
    if (task.status === "rejected") throw task.reason;
    this.#latest = task.value;
    this.isKnown = true;
    answered(this.#latest.now ?? new Date().toISOString());
    this.#show(this.#latest);
    this.#current.update?.(this.#latest);
    if (listed.status === "fulfilled") return;
    if (listed.reason.status !== 403) throw listed.reason;
    if (tab === this.#current) this.#panel.replaceChildren(h("p", {}, visible(listed.reason.message)));
  }

  #show(task) {
    showState(this.#badge, task.state);
    this.#reasons.classList.toggle("alarm", isAlarming(task));
    showList(this.#reasons, reasons(task));
    this.#buttons.get("settings").hidden = task.can?.view_settings === false;
    setText(this.#stages, `Lag by stage: ${stagesText(task)}`);
    this.toolbar.update(task.can ?? {});
    this.#showDags(task.dags ?? {});
    const full = fullText(task);
    showTiles(this.#tiles, [
      ["Mode", format.words(task.mode)],
      ["Lag", format.duration(task.lag?.seconds)],
      ["Lag in bytes", format.bytes(task.lag?.bytes)],
      ["Throughput", format.rate(task.throughput?.rows_per_second)],
      ["Queue", format.count(task.queue_depth)],
      ["Dead letters", format.count(task.dead_letters)],
      ["Errors", format.count(task.apply_errors)],
      ["WAL kept", format.bytes(task.wal?.retained_bytes)],
      ...(full ? [["WAL limit", full]] : []),
    ]);
  }

  #showDags(dags) {
    const known = Object.entries(dags).filter(([, id]) => id);
    const signature = JSON.stringify(known);
    if (this.#dags.dataset.shown === signature) return;
    this.#dags.dataset.shown = signature;
    const links = known.map(([kind, id]) => h("a", { href: dagUrl(id), click: leaveFrame }, format.words(kind)));
    this.#dags.replaceChildren(...(links.length ? ["DAGs: ", ...links.flatMap((link) => [link, " "])] : []));
  }

  #key(event) {
    const keys = [...this.#buttons.keys()].filter((key) => !this.#buttons.get(key).hidden);
    const at = keys.findIndex((key) => this.#buttons.get(key) === document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: keys.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const key = keys[(to + keys.length) % keys.length];
    this.#buttons.get(key).focus();
    location.hash = taskHash(this.name, key);
  }
}
