/**
 * Changes that were set aside: look at their rows, then apply them again or do without them.
 */

import { allow, startOnChosen } from "./actions.js";
import { getList } from "./api.js";
import { h, nameOf, visible } from "./dom.js";
import * as format from "./format.js";
import { DataTable } from "./table.js";
import { changeColumns, MoreButton, tableText } from "./tab_lists.js";

const WORDS = {
  replay_dead_letters: { label: "Replay", explain: "Applies the changes again, in order, and never over anything newer." },
  discard_dead_letters: { label: "Discard", explain: "Does without the changes, for good.", danger: true },
};

export class DeadLettersTab {
  #name;
  #more;
  #letters = [];
  #can = {};
  #buttons = [
    this.#button("replay_dead_letters", "Replay chosen"),
    this.#button("discard_dead_letters", "Discard chosen"),
    this.#button("replay_dead_letters", "Replay all", "all"),
  ];
  #list = new DataTable({
    label: "Dead letters",
    columns: [
      ...changeColumns,
      { key: "reason", label: "Reason", text: (row) => visible([row.reason ?? format.UNKNOWN, row.problem].filter(Boolean).join("; ")) },
      { key: "row", label: "Row", text: (row) => JSON.stringify([changesOf(row), row.is_complete]), render: changesCell },
      { key: "lsn", label: "LSN", text: (row) => [row.lsn, row.transaction_id].filter((one) => one !== null && one !== undefined).join(" · ") },
    ],
    key: (row) => String(row.id),
    name: (row) => `the change of ${tableText(row)} at ${row.lsn}`,
    sort: ["at", true],
    empty: "No dead letter.",
    tools: this.#buttons.map(({ element }) => element),
    onSelect: () => this.#allow(),
  });

  constructor(name, again) {
    this.#name = name;
    this.again = again;
    this.#more = new MoreButton(again);
    this.element = h("div", {}, this.#list.element, this.#more.element);
  }

  async ask(isCurrent) {
    const { entries, more } = await getList(["tasks", this.#name, "dead_letters"], "dead_letters", this.#more.wanted);
    if (!isCurrent()) return;
    this.#letters = entries;
    this.#list.update(entries);
    this.#more.element.hidden = !more;
    this.#allow();
  }

  update(task) {
    this.#can = task.can ?? {};
    this.#allow();
  }

  #button(action, label, ids = null) {
    const click = () => this.#start(action, ids);
    return { action, ids, element: h("button", { type: "button", disabled: true, class: WORDS[action].danger ? "danger" : null, click }, label) };
  }

  #allow() {
    for (const { action, ids, element } of this.#buttons) {
      allow(element, this.#can[action]);
      element.disabled ||= ids ? !this.#letters.length : !this.#list.selected.size;
    }
  }

  async #start(action, all) {
    const letters = all ? [] : this.#letters.filter((letter) => this.#list.selected.has(String(letter.id)));
    const chosen = letters.map((letter) => `${tableText(letter)} ${format.words(letter.operation)} ${letter.lsn}`);
    const parameters = { ids: all ?? letters.map((letter) => letter.id) };
    if (await startOnChosen(this.#name, action, { ...WORDS[action], chosen, parameters })) {
      this.#list.clearSelection();
      this.again();
    }
  }
}

/** A letter may hold several changes; the first of them are shown. */
function changesOf(letter) {
  return letter.changes ?? (letter.row ? [letter] : []);
}

function changesCell(letter) {
  const changes = changesOf(letter);
  if (!changes.length) return h("span", { class: "muted" }, "not readable");
  const shown = changes.map((change) => rowDetails(change, changes.length > 1));
  return h("div", {}, shown, letter.is_complete === false ? h("div", { class: "muted" }, "and more") : null);
}

function rowDetails(change, isOneOfMany) {
  const columns = Object.entries(change.row ?? {});
  const pairs = columns.map(([column, value]) => h("div", {}, h("dt", {}, nameOf(column)), h("dd", {}, format.cell(value))));
  const place = isOneOfMany ? `${format.words(change.operation)} ${tableText(change)}: ` : "";
  return h("details", {}, h("summary", {}, nameOf(`${place}${columns.length} columns`)), h("dl", { class: "row" }, pairs));
}
