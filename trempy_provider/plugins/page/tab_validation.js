/**
 * The last validation: what it says of each table, and for those who may read logs, the rows that differ.
 */

import { get, getList } from "./api.js";
import { h, nameOf, setText, visible } from "./dom.js";
import * as format from "./format.js";
import { showState, stateBadge } from "./states.js";
import { MoreButton } from "./tab_lists.js";
import { DataTable } from "./table.js";

const counted = (key, label) => ({ key, label, numeric: true, text: (row) => format.count(row[key]), sort: (row) => row[key] });
const DIFFERENCES = ["missing", "different", "extra"];

export class ValidationTab {
  #name;
  #more;
  #badge = stateBadge("unknown");
  #words = h("span");
  #summary = h("p", { hidden: true }, this.#badge, " ", this.#words);
  #refused = h("p", { hidden: true });
  #tables = new DataTable({
    label: "Validated tables",
    columns: [
      { key: "table", label: "Table", text: (row) => [row.table, row.target, ...remarks(row)].join("\n"), sort: (row) => row.table, render: tableCell },
      { key: "state", label: "State", text: (row) => format.words(row.state), render: (row) => stateBadge(row.state) },
      { key: "percent", label: "Progress", numeric: true, text: (row) => format.percent(row.percent), sort: (row) => row.percent },
      counted("ranges", "Ranges"),
      counted("rows", "Rows compared"),
      counted("missing", "Missing"),
      counted("different", "Different"),
      counted("extra", "Extra"),
      counted("repaired", "Repaired"),
      counted("tolerated", "Tolerated"),
      counted("unsettled", "Unsettled"),
    ],
    key: (row) => row.table,
    sort: ["table", false],
    empty: "No validation has come to a table yet.",
  });
  #rows = new DataTable({
    label: "Rows that differ",
    columns: [
      { key: "at", label: "Found", text: (row) => format.time(row.at), sort: (row) => row.at },
      { key: "table", label: "Table", text: (row) => row.table, render: (row) => nameOf(row.table) },
      { key: "kind", label: "Kind", text: (row) => format.words(row.kind) },
      { key: "key", label: "Key", text: (row) => JSON.stringify(row.key), render: keyCell },
      counted("rows", "Rows"),
      { key: "outcome", label: "What was done", text: (row) => outcomeText(row.outcome) },
    ],
    key: (row) => String(row.id),
    sort: ["at", false],
    empty: "No row that differs.",
  });
  #differing;
  element;

  constructor(name, again) {
    this.#name = name;
    this.#more = new MoreButton(again);
    this.#differing = h("section", { hidden: true }, h("h2", {}, "Rows that differ"), this.#refused, this.#rows.element, this.#more.element);
    this.element = h("div", {}, this.#summary, this.#tables.element, this.#differing);
  }

  async ask(isCurrent) {
    const { validation } = await get(["tasks", this.#name, "validation"]);
    if (!isCurrent()) return;
    this.#show(validation);
    const differs = (validation?.tables ?? []).some((table) => DIFFERENCES.some((kind) => table[kind] > 0));
    this.#differing.hidden = !differs;
    if (differs) await this.#askRows(isCurrent);
  }

  async #askRows(isCurrent) {
    let refused = "";
    let listed = { entries: [], more: false };
    try {
      listed = await getList(["tasks", this.#name, "validation", "differences"], "differences", this.#more.wanted);
    } catch (error) {
      if (error.status !== 403) throw error;
      refused = error.message;
    }
    if (!isCurrent()) return;
    setText(this.#refused, visible(refused));
    this.#refused.hidden = !refused;
    this.#rows.element.hidden = Boolean(refused);
    this.#rows.update(listed.entries);
    this.#more.element.hidden = !listed.more;
  }

  #show(validation) {
    this.#summary.hidden = !validation;
    this.#tables.update(validation?.tables ?? []);
    if (!validation) return;
    showState(this.#badge, validation.state);
    const end = validation.finished_at ? `, finished ${format.time(validation.finished_at)}` : "";
    const which = validation.chosen.length ? "chosen tables" : "tables";
    const repair = validation.repairs ? ", with repair" : "";
    setText(
      this.#words,
      `Started ${format.time(validation.started_at)}${end}: ${format.count(validation.finished_count)} of ${format.count(validation.table_count)} ${which} compared${repair}`,
    );
  }
}

function remarks(row) {
  const counts = [
    [row.failed, "rows could not be repaired"],
    [row.failing, "rows of which the source cannot compute a value"],
  ];
  return [...counts.filter(([count]) => count > 0).map(([count, words]) => `${format.count(count)} ${words}`), ...row.notes];
}

function tableCell(row) {
  const renamed = row.target !== row.table;
  return h(
    "div",
    {},
    nameOf(row.table),
    renamed ? h("div", { class: "muted small" }, "to ", nameOf(row.target)) : null,
    remarks(row).map((text) => h("div", { class: "muted small" }, nameOf(text))),
  );
}

function keyCell(row) {
  if (!row.key) return h("span", { class: "muted" }, "the table has no key");
  const pairs = Object.entries(row.key).map(([column, value]) => h("div", {}, h("dt", {}, nameOf(column)), h("dd", {}, format.cell(value))));
  return h("dl", { class: "row" }, pairs);
}

function outcomeText(outcome) {
  if (outcome === "found") return "not repaired";
  return outcome === "repaired" ? "repaired" : `not repaired: SQLSTATE ${outcome}`;
}
