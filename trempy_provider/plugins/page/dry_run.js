/**
 * What came of a dry run: findings, and for each table its rows in and out of filters, its statements, and rows.
 */

import { h, nameOf, visible } from "./dom.js";
import * as format from "./format.js";
import { showList } from "./overview.js";

/** Show an answer of the server: {passed, problems, tables}. */
export function showProof(place, { passed, problems, tables }) {
  const findings = h("ul", { class: "reasons" });
  showList(findings, problems);
  const verdict = passed ? h("p", {}, "✓ Nothing is in the way.") : h("p", { class: "alarm" }, "✕ Something is in the way.");
  const done = h("p", { class: "muted" }, "It was tried in a transaction that has been rolled back.");
  place.replaceChildren(h("h2", {}, "Dry run"), verdict, findings, done, ...tables.map(trial));
}

function trial(table) {
  const place = `${table.source} → ${table.target}`;
  if (table.error) return h("div", {}, h("h3", {}, nameOf(place)), h("p", { class: "alarm" }, `✕ ${visible(table.error)}`));
  const out = table.rows - table.passing_rows;
  const rejected = Object.entries(table.rejected).map(([path, count]) => h("li", {}, h("code", {}, visible(path)), ` keeps out ${format.count(count)}`));
  return h(
    "div",
    {},
    h("h3", {}, nameOf(place)),
    h("p", {}, `Of the first ${format.count(table.rows)} rows, ${format.count(table.passing_rows)} pass and ${format.count(out)} do not.`),
    h("ul", {}, rejected),
    table.ddl.length ? h("details", {}, h("summary", {}, "Statements on the target"), h("pre", { class: "code", tabindex: "0" }, table.ddl.map(lines).join("\n"))) : null,
    table.before.map((before, index) => pair(table.source, index + 1, before, table.after[index] ?? {})),
  );
}

/** One row before and after, a column a line. */
function pair(source, number, before, after) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const value = (row, name) => (name in row ? (row[name] === null ? h("i", {}, "null") : visible(row[name])) : "–");
  const rows = names.map((name) => h("tr", {}, h("th", { scope: "row" }, nameOf(name)), h("td", { class: "before" }, value(before, name)), h("td", { class: "after" }, value(after, name))));
  const head = h("tr", {}, [`Row ${number}`, "Before", "After"].map((label) => h("th", { scope: "col" }, label)));
  return h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain", "aria-label": `Row ${number} of ${visible(source)}` }, h("thead", {}, head), h("tbody", {}, rows)));
}

function lines(statement) {
  return statement.split("\n").map(visible).join("\n");
}
