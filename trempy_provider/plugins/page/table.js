/**
 * A table that is filtered, sorted and paged in the browser and updated in place:
 * rows keep their elements, so that neither focus nor selection is lost when new numbers arrive.
 *
 * A column is {key, label, text(row), sort(row)?, render(row)?, numeric?}: `text` tells what is shown and filtered,
 * `render` makes an element instead of plain text and is asked again only when the text changes.
 */

import { h, keepingFocus, setText } from "./dom.js";
import { count } from "./format.js";

const PAGE_ROWS = 50;
const TYPING_MILLISECONDS = 120;

export class DataTable {
  #options;
  #rows = [];
  #elements = new Map();
  #page = 0;
  #filter = "";
  #sort;
  #headers = new Map();
  #body = h("tbody", { role: "rowgroup" });
  #summary = h("p", { class: "muted", role: "status" });
  #pager = h("div", { class: "pager" });
  #all = null;

  /** Rows whose box is checked, by key. */
  selected = new Set();
  element;

  /** :param options: {label, columns, key(row): text, sort: [key, descending], empty, keep(row)?, tools?,
   *   onSelect?, name(row)?: how a row that can be selected is called} */
  constructor(options) {
    this.#options = options;
    this.#sort = options.sort;
    this.element = h("section", { class: "listing" }, this.#toolbar(), this.#table(), this.#pager);
  }

  /** Show these rows; selected ones that are gone are not selected any more. */
  update(rows) {
    this.#rows = rows;
    const keys = new Set(rows.map(this.#options.key));
    for (const key of this.#elements.keys()) if (!keys.has(key)) this.#elements.delete(key);
    const before = this.selected.size;
    for (const key of this.selected) if (!keys.has(key)) this.selected.delete(key);
    this.refresh();
    if (before !== this.selected.size) this.#options.onSelect?.();
  }

  /** Sort, filter and draw again. */
  refresh() {
    const shown = this.#ordered();
    const pages = Math.max(1, Math.ceil(shown.length / PAGE_ROWS));
    this.#page = Math.min(this.#page, pages - 1);
    const start = this.#page * PAGE_ROWS;
    const visible = shown.slice(start, start + PAGE_ROWS);
    keepingFocus(() => this.#place(visible.map((row) => this.#drawn(row))));
    setText(this.#summary, this.#counted(shown.length, start, visible.length));
    this.#drawPager(pages);
    if (this.#all) this.#all.checked = visible.length > 0 && visible.every((row) => this.selected.has(this.#options.key(row)));
    for (const [key, header] of this.#headers) {
      const [sorted, descending] = this.#sort;
      header.setAttribute("aria-sort", key === sorted ? (descending ? "descending" : "ascending") : "none");
    }
  }

  /** Forget the selection. */
  clearSelection() {
    this.selected.clear();
    for (const { box } of this.#elements.values()) if (box) box.checked = false;
    this.refresh();
    this.#options.onSelect?.();
  }

  #toolbar() {
    let timer = null;
    const input = h("input", {
      type: "search",
      "aria-label": `Filter ${this.#options.label}`,
      placeholder: "Filter",
      input: () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          this.#filter = input.value.trim().toLowerCase();
          this.#page = 0;
          this.refresh();
        }, TYPING_MILLISECONDS);
      },
    });
    return h("div", { class: "tools" }, input, ...(this.#options.tools ?? []), this.#summary);
  }

  #table() {
    const heads = this.#options.columns.map((column) => this.#header(column));
    if (this.#options.onSelect) heads.unshift(this.#selectAll());
    return h(
      "table",
      { role: "table", "aria-label": this.#options.label },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
      this.#body,
    );
  }

  #header(column) {
    const header = h("th", { role: "columnheader", scope: "col", class: column.numeric ? "number" : null });
    const sort = () => {
      const [key, descending] = this.#sort;
      this.#sort = [column.key, key === column.key ? !descending : Boolean(column.numeric)];
      this.refresh();
    };
    header.append(h("button", { type: "button", class: "sort", click: sort }, column.label));
    this.#headers.set(column.key, header);
    return header;
  }

  #selectAll() {
    const all = h("input", {
      type: "checkbox",
      "aria-label": "Select the rows of this page",
      change: () => {
        for (const row of this.#body.querySelectorAll("[data-key]")) this.#select(row.dataset.key, all.checked);
        this.#options.onSelect();
      },
    });
    this.#all = all;
    return h("th", { role: "columnheader", scope: "col", class: "box" }, all);
  }

  #select(key, wanted) {
    this.#elements.get(key).box.checked = wanted;
    if (wanted) this.selected.add(key);
    else this.selected.delete(key);
  }

  #ordered() {
    const { columns, keep } = this.#options;
    const wanted = this.#filter;
    const fits = (row) =>
      (!keep || keep(row)) && (!wanted || columns.some((column) => column.text(row).toLowerCase().includes(wanted)));
    const [key, descending] = this.#sort;
    const column = columns.find((one) => one.key === key);
    const value = column.sort ?? column.text;
    const sign = descending ? -1 : 1;
    return this.#rows.filter(fits).sort((a, b) => sign * compare(value(a), value(b)));
  }

  #drawn(row) {
    const key = this.#options.key(row);
    let drawn = this.#elements.get(key);
    if (!drawn) this.#elements.set(key, (drawn = this.#newRow(key, row)));
    this.#options.columns.forEach((column, index) => {
      const text = column.text(row);
      const cell = drawn.cells[index];
      if (drawn.texts[index] === text) return;
      drawn.texts[index] = text;
      if (column.render) cell.replaceChildren(column.render(row));
      else setText(cell, text);
    });
    return drawn.element;
  }

  #newRow(key, row) {
    const cells = this.#options.columns.map((column) =>
      h("td", { role: "cell", "data-label": column.label, class: column.numeric ? "number" : null }),
    );
    const element = h("tr", { role: "row", "data-key": key }, cells);
    const drawn = { element, cells, texts: [], box: null };
    if (this.#options.onSelect) {
      const choose = () => {
        this.#select(key, drawn.box.checked);
        this.#options.onSelect();
      };
      drawn.box = h("input", { type: "checkbox", "aria-label": `Select ${this.#options.name(row)}`, change: choose });
      drawn.box.checked = this.selected.has(key);
      element.prepend(h("td", { role: "cell", class: "box" }, drawn.box));
    }
    return drawn;
  }

  #place(elements) {
    if (!elements.length) {
      this.#body.replaceChildren(h("tr", { role: "row" }, h("td", { role: "cell", colspan: 99, class: "muted" }, this.#options.empty)));
      return;
    }
    const wanted = new Set(elements);
    for (const element of [...this.#body.children]) if (!wanted.has(element)) element.remove();
    elements.forEach((element, index) => {
      if (this.#body.children[index] !== element) this.#body.insertBefore(element, this.#body.children[index] ?? null);
    });
  }

  #counted(total, start, visible) {
    const all = this.#rows.length;
    const range = visible < total ? `${count(start + 1)}–${count(start + visible)} of ${count(total)}` : count(total);
    return total < all ? `${range} (of ${count(all)} in all)` : range;
  }

  #drawPager(pages) {
    this.#pager.hidden = pages < 2;
    if (pages < 2) return;
    if (!this.#pager.children.length) {
      const turn = (by) => () => {
        this.#page += by;
        this.refresh();
      };
      this.#pager.append(
        h("button", { type: "button", click: turn(-1) }, "Previous page"),
        h("span"),
        h("button", { type: "button", click: turn(1) }, "Next page"),
      );
    }
    const [previous, label, next] = this.#pager.children;
    previous.disabled = this.#page === 0;
    next.disabled = this.#page >= pages - 1;
    setText(label, `Page ${this.#page + 1} of ${pages}`);
  }
}

/** Order values: numbers by size, texts by letters, unknown ones before all others. */
function compare(a, b) {
  const missing = Number(a !== null && a !== undefined) - Number(b !== null && b !== undefined);
  if (missing || a === null || a === undefined) return missing;
  return typeof a === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}
