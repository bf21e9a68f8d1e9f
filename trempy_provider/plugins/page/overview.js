/**
 * All replication tasks: how each one is, and how far behind.
 */

import { get } from "./api.js";
import { h, nameOf, setText, visible } from "./dom.js";
import * as format from "./format.js";
import { sparkline } from "./charts.js";
import { answered } from "./messages.js";
import { taskHash } from "./router.js";
import { stateBadge, URGENCY } from "./states.js";
import { DataTable } from "./table.js";

export const STAGES = ["capture", "broker", "apply"];
const FULL_SOON_SECONDS = 3600;

const COLUMNS = [
  { key: "name", label: "Task", text: (task) => [task.name, task.mode, task.description, task.problem].join("\n"), sort: (task) => task.name, render: taskCell },
  { key: "state", label: "State", text: (task) => [format.words(task.state), ...reasons(task), tablesText(task)].join("\n"), sort: (task) => urgency(task), render: stateCell },
  { key: "lag", label: "Lag", numeric: true, text: (task) => signature(lagText(task), stagesText(task), task.sparklines?.lag_seconds), sort: (task) => task.lag?.seconds, render: lagCell },
  { key: "throughput", label: "Throughput", numeric: true, text: (task) => signature(throughputText(task), task.sparklines?.rows_per_second), sort: (task) => task.throughput?.rows_per_second, render: throughputCell },
  { key: "queue", label: "Queue", numeric: true, text: (task) => format.count(task.queue_depth), sort: (task) => task.queue_depth },
  { key: "dead_letters", label: "Dead letters", numeric: true, text: (task) => format.count(task.dead_letters), sort: (task) => task.dead_letters, render: (task) => alarming(format.count(task.dead_letters), task.dead_letters > 0) },
  { key: "apply_errors", label: "Errors", numeric: true, text: (task) => format.count(task.apply_errors), sort: (task) => task.apply_errors, render: (task) => alarming(format.count(task.apply_errors), task.apply_errors > 0) },
  { key: "wal", label: "WAL kept", numeric: true, text: (task) => [format.bytes(task.wal?.retained_bytes), fullText(task)].join("\n"), sort: (task) => task.wal?.retained_bytes, render: walCell },
];

/** The screen; `ask()` fetches and shows. */
export class Overview {
  title = "Replication";
  seconds = 5;
  #counts = h("dl", { class: "tiles" });
  #problems = h("ul", { class: "reasons alarm" });
  #hidden = h("p", { class: "muted" });
  #draft = h("a", { href: "#/assistant", hidden: true }, "Draft a task");
  #only = h("select", { "aria-label": "Which tasks", change: () => this.#table.refresh() }, [
    h("option", { value: "" }, "All tasks"),
    h("option", { value: "attention" }, "Needs attention"),
    ...URGENCY.map((state) => h("option", { value: state }, format.words(state))),
  ]);
  #table = new DataTable({
    label: "Replication tasks",
    columns: COLUMNS,
    key: (task) => task.name,
    sort: ["name", false],
    empty: "No replication task.",
    keep: (task) => this.#wanted(task),
    tools: [this.#only],
  });
  element = h("div", {}, h("div", { class: "heading" }, h("h1", {}, "Replication"), this.#draft), this.#problems, this.#counts, this.#table.element, this.#hidden);

  /** :param found: called with the tasks after each answer */
  constructor(found) {
    this.found = found;
  }

  async ask(isCurrent) {
    const answer = await get(["tasks"]);
    if (!isCurrent()) return;
    answered(answer.now);
    this.#table.update(answer.tasks);
    showList(this.#problems, answer.problems ?? []);
    this.#draft.hidden = !answer.can_create;
    this.#count(answer.tasks);
    setText(this.#hidden, answer.hidden ? `${answer.hidden} more that you may not see.` : "");
    this.found(answer.tasks);
  }

  #wanted(task) {
    const only = this.#only.value;
    return !only || task.state === only || (only === "attention" && needsAttention(task));
  }

  #count(tasks) {
    const of = (state) => tasks.filter((task) => task.state === state).length;
    const lags = tasks.map((task) => task.lag?.seconds).filter((seconds) => typeof seconds === "number");
    showTiles(this.#counts, [
      ["Tasks", format.count(tasks.length)],
      ["Running", format.count(of("running"))],
      ["Need attention", format.count(tasks.filter(needsAttention).length)],
      ["Greatest lag", format.duration(lags.length ? Math.max(...lags) : null)],
      ["Dead letters", format.count(tasks.reduce((sum, task) => sum + (task.dead_letters ?? 0), 0))],
    ]);
  }
}

/** Show pairs of a term and its value, in place. */
export function showTiles(list, tiles) {
  while (list.children.length > tiles.length) list.lastElementChild.remove();
  tiles.forEach(([term, value], index) => {
    const tile = list.children[index] ?? list.appendChild(h("div", {}, h("dt"), h("dd")));
    setText(tile.firstElementChild, term);
    setText(tile.lastElementChild, value);
  });
}

/** Show texts as the entries of a list, in place. */
export function showList(list, texts) {
  while (list.children.length > texts.length) list.lastElementChild.remove();
  texts.forEach((text, index) => setText(list.children[index] ?? list.appendChild(h("li")), visible(text)));
}

/** "capture 10 ms · broker 5 ms · apply 2 s (1.2 MB)". */
export function stagesText(task) {
  return STAGES.map((stage) => {
    const { seconds, bytes } = task.lag?.stages?.[stage] ?? {};
    const size = typeof bytes === "number" ? ` (${format.bytes(bytes)})` : "";
    return `${stage} ${format.duration(seconds)}${size}`;
  }).join(" · ");
}

/** When the WAL kept for the slot reaches its limit, and which limit, or nothing. */
export function fullText(task) {
  const { seconds_until_full: seconds, full_by: by, limit_bytes: limit } = task.wal ?? {};
  if (typeof seconds === "number") return `full in ${format.duration(seconds)}${by ? ` (${format.words(by)})` : ""}`;
  return typeof limit === "number" ? `of ${format.bytes(limit)}` : "";
}

/** Why a task is as it is: what the server knows, without repetition. */
export function reasons(task) {
  return [...new Set([task.state_reason, task.stop_reason, task.problem].filter(Boolean))];
}

/** Whether the reasons of a task's state tell of something broken; a pause has a reason, too. */
export function isAlarming(task) {
  return Boolean(task.problem) || task.state === "failed" || task.state === "unknown";
}

function needsAttention(task) {
  const soon = typeof task.wal?.seconds_until_full === "number" && task.wal.seconds_until_full < FULL_SOON_SECONDS;
  return isAlarming(task) || task.dead_letters > 0 || task.apply_errors > 0 || soon;
}

function urgency(task) {
  return URGENCY.indexOf(URGENCY.includes(task.state) ? task.state : "unknown");
}

function signature(...parts) {
  return parts.map((part) => (Array.isArray(part) ? part.join() : part)).join("\n");
}

function tablesText(task) {
  const { total, loaded, loading, failed } = task.tables ?? {};
  if (typeof total !== "number") return "";
  const parts = [`${format.count(loaded)} of ${format.count(total)} tables loaded`];
  if (loading) parts.push(`${format.count(loading)} loading`);
  if (failed) parts.push(`${format.count(failed)} failed`);
  return parts.join(", ");
}

const lagText = (task) => `${format.duration(task.lag?.seconds)} · ${format.bytes(task.lag?.bytes)}`;

function throughputText(task) {
  const { rows_per_second: rows, bytes_per_second: size } = task.throughput ?? {};
  return format.rate(rows) + (typeof size === "number" ? ` · ${format.bytes(size)}/s` : "");
}

function taskCell(task) {
  const link = h("a", { href: taskHash(task.name), class: "strong" }, nameOf(task.name));
  return h("div", {}, link, h("div", { class: "muted" }, format.words(task.mode)), task.description ? h("div", { class: "muted" }, nameOf(task.description)) : null);
}

function stateCell(task) {
  const look = isAlarming(task) ? "alarm" : "muted";
  return h("div", {}, stateBadge(task.state), reasons(task).map((reason) => h("div", { class: look }, nameOf(reason))), h("div", { class: "muted" }, tablesText(task)));
}

function lagCell(task) {
  return h("div", {}, h("div", {}, lagText(task)), sparkline(task.sparklines?.lag_seconds ?? [], "Lag", format.duration), h("div", { class: "muted small" }, stagesText(task)));
}

function throughputCell(task) {
  return h("div", {}, h("div", {}, throughputText(task)), sparkline(task.sparklines?.rows_per_second ?? [], "Throughput", format.rate));
}

function walCell(task) {
  const soon = typeof task.wal?.seconds_until_full === "number" && task.wal.seconds_until_full < FULL_SOON_SECONDS;
  return h("div", {}, h("div", {}, format.bytes(task.wal?.retained_bytes)), h("div", { class: soon ? "alarm small" : "muted small" }, soon ? "⚠ " : null, fullText(task)));
}

function alarming(text, alarmed) {
  return alarmed ? h("span", { class: "alarm" }, "⚠ ", text) : h("span", {}, text);
}
