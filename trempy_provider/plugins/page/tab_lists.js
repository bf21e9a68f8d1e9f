/**
 * Lists that only grow: the batches applied, and the changes that could not be applied.
 */

import { get, getList } from "./api.js";
import { h, nameOf, visible } from "./dom.js";
import * as format from "./format.js";
import { DataTable } from "./table.js";

const BATCHES = 200;
export const STEP = 100;

/** The table of a change; a change that cannot be read tells none. */
export function tableText(row) {
  return row.table === null ? format.UNKNOWN : `${row.schema}.${row.table}`;
}

const timeColumn = { key: "at", label: "Time", text: (row) => format.time(row.at), sort: (row) => row.at };
export const changeColumns = [
  timeColumn,
  { key: "table", label: "Table", text: tableText, render: (row) => nameOf(tableText(row)) },
  { key: "operation", label: "Operation", text: (row) => format.words(row.operation) },
];

/** A button that asks for more of a long list. */
export class MoreButton {
  wanted = STEP;
  element;

  constructor(again) {
    const click = () => {
      this.wanted += STEP;
      again();
    };
    this.element = h("button", { type: "button", hidden: true, click }, "Show more");
  }
}

export class BatchesTab {
  #list = new DataTable({
    label: "Batches",
    columns: [
      timeColumn,
      { key: "rows", label: "Rows", numeric: true, text: (row) => format.count(row.rows), sort: (row) => row.rows },
      { key: "transactions", label: "Transactions", numeric: true, text: (row) => format.count(row.transactions), sort: (row) => row.transactions },
      { key: "seconds", label: "Took", numeric: true, text: (row) => format.duration(row.seconds), sort: (row) => row.seconds },
      { key: "end_lsn", label: "Up to LSN", text: (row) => row.end_lsn ?? format.UNKNOWN },
    ],
    key: (row) => `${row.at} ${row.end_lsn}`,
    sort: ["at", true],
    empty: "No batch has been applied yet.",
  });
  element = this.#list.element;

  constructor(name) {
    this.name = name;
  }

  async ask(isCurrent) {
    const { batches } = await get(["tasks", this.name, "batches"], { limit: BATCHES });
    if (isCurrent()) this.#list.update(batches);
  }
}

export class ErrorsTab {
  #more;
  #list = new DataTable({
    label: "Errors",
    columns: [
      ...changeColumns,
      { key: "error", label: "Error", text: (row) => `${row.error}\n${row.statement ?? ""}`, render: errorCell },
      { key: "policy", label: "What was done", text: (row) => format.words(row.policy) },
      { key: "lsn", label: "LSN", text: (row) => row.lsn ?? format.UNKNOWN },
    ],
    key: (row) => String(row.id),
    sort: ["at", true],
    empty: "No change failed.",
  });
  element;

  constructor(name, again) {
    this.name = name;
    this.#more = new MoreButton(again);
    this.element = h("div", {}, this.#list.element, this.#more.element);
  }

  async ask(isCurrent) {
    const { entries, more } = await getList(["tasks", this.name, "errors"], "errors", this.#more.wanted);
    if (!isCurrent()) return;
    this.#list.update(entries);
    this.#more.element.hidden = !more;
  }
}

function errorCell(row) {
  const statement = row.statement && h("details", {}, h("summary", {}, "Statement"), h("pre", { tabindex: "0" }, row.statement));
  return h("div", {}, h("div", { class: "alarm" }, visible(row.error)), statement || null);
}
