/**
 * The tables of a task: state, progress of loading, and changes applied.
 */

import { allow, startOnChosen } from "./actions.js";
import { h, nameOf } from "./dom.js";
import * as format from "./format.js";
import { stateBadge } from "./states.js";
import { DataTable } from "./table.js";

const nameText = (table) => `${table.schema}.${table.table}`;
const targetText = (table) => `${table.target_schema ?? table.schema}.${table.target_table ?? table.table}`;
const counted = (key, label) => ({ key, label, numeric: true, text: (table) => format.count(table[key]), sort: (table) => table[key] });

const COLUMNS = [
  { key: "name", label: "Table", text: (table) => `${nameText(table)}\n${targetText(table)}\n${table.note ?? ""}`, sort: nameText, render: nameCell },
  { key: "state", label: "State", text: (table) => format.words(table.state), render: (table) => stateBadge(table.state) },
  { key: "percent", label: "Progress", numeric: true, text: progressText, sort: (table) => table.percent, render: progressCell },
  counted("rows", "Rows loaded"),
  { key: "bytes", label: "Size", numeric: true, text: (table) => format.bytes(table.bytes), sort: (table) => table.bytes },
  counted("inserts", "Inserts"),
  counted("updates", "Updates"),
  counted("deletes", "Deletes"),
  counted("errors", "Errors"),
];

export class TablesTab {
  #name;
  #tables = [];
  #reload = h("button", { type: "button", disabled: true, click: () => this.#start("reload_tables") }, "Reload chosen");
  #validate = h("button", { type: "button", disabled: true, click: () => this.#start("validate") }, "Validate chosen");
  #can = {};
  #list = new DataTable({
    label: "Tables",
    columns: COLUMNS,
    key: (table) => JSON.stringify([table.schema, table.table]),
    name: nameText,
    sort: ["name", false],
    empty: "No table.",
    tools: [this.#reload, this.#validate],
    onSelect: () => this.#allow(),
  });

  constructor(name, again) {
    this.#name = name;
    this.again = again;
    this.element = this.#list.element;
  }

  update(task) {
    this.#can = task.can ?? {};
    this.#tables = task.tables;
    this.#list.update(this.#tables);
    this.#allow();
  }

  #allow() {
    const some = this.#list.selected.size > 0;
    for (const [button, action] of [[this.#reload, "reload_tables"], [this.#validate, "validate"]]) {
      allow(button, this.#can[action]);
      button.disabled ||= !some;
    }
  }

  async #start(action) {
    const chosen = this.#tables.filter((table) => this.#list.selected.has(JSON.stringify([table.schema, table.table]))).map(nameText);
    const words =
      action === "validate"
        ? { label: "Validate tables", explain: "Compares the rows of these tables in source and target." }
        : { label: "Reload tables", explain: "Empties these tables in the target and loads them from zero; the others are untouched.", danger: true };
    if (await startOnChosen(this.#name, action, { ...words, chosen, parameters: { tables: chosen } })) {
      this.#list.clearSelection();
      this.again();
    }
  }
}

function nameCell(table) {
  const renamed = targetText(table) !== nameText(table);
  return h(
    "div",
    {},
    nameOf(nameText(table)),
    renamed ? h("div", { class: "muted small" }, "to ", nameOf(targetText(table))) : null,
    table.note ? h("div", { class: "muted small" }, nameOf(table.note)) : null,
  );
}

function progressText(table) {
  const left = typeof table.eta_seconds === "number" ? `, ${format.duration(table.eta_seconds)} left` : "";
  return format.percent(table.percent) + left;
}

function progressCell(table) {
  if (typeof table.percent !== "number" || table.percent >= 100) return h("span", {}, progressText(table));
  return h("div", {}, h("progress", { max: 100, value: table.percent, "aria-label": `Progress of ${nameText(table)}` }), h("div", {}, progressText(table)));
}
