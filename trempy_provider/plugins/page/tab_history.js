/**
 * How lag, throughput, changes, errors and WAL went over the last hour, day or week.
 */

import { get } from "./api.js";
import { LineChart } from "./charts.js";
import { h } from "./dom.js";
import * as format from "./format.js";

const RANGES = { hour: "Hour", day: "Day", week: "Week" };
const OFTEN_MILLISECONDS = 15_000;
const series = (label, key) => ({ label, value: (point) => point[key] });

export class HistoryTab {
  #range = "hour";
  #askedAt = 0;
  #charts = [
    { title: "Lag", format: format.duration, series: [series("Lag", "lag_seconds")] },
    { title: "Lag in bytes", format: format.bytes, series: [series("Lag", "lag_bytes")] },
    { title: "Throughput", format: format.rate, series: [series("Rows", "rows_per_second")] },
    { title: "Changes", format: format.count, series: [series("Inserts", "inserts"), series("Updates", "updates"), series("Deletes", "deletes")] },
    { title: "Errors", format: format.count, series: [series("Errors", "errors")] },
    { title: "Queue", format: format.count, series: [series("Messages", "queue_depth")] },
    { title: "Batches", format: format.count, series: [series("Batches", "batches")] },
    { title: "WAL kept", format: format.bytes, series: [series("WAL kept", "wal_retained_bytes")] },
  ].map((chart) => new LineChart(chart));

  constructor(name, again) {
    this.name = name;
    this.again = again;
    const choices = Object.entries(RANGES).map(([range, label]) =>
      h("label", { class: "choice" }, h("input", { type: "radio", name: "range", value: range, ".checked": range === this.#range, change: () => this.#choose(range) }), label),
    );
    this.element = h("section", {}, h("fieldset", { class: "choices" }, h("legend", {}, "Over the last"), choices), h("div", { class: "charts" }, this.#charts.map((chart) => chart.element)));
  }

  async ask(isCurrent) {
    if (Date.now() - this.#askedAt < OFTEN_MILLISECONDS) return;
    const range = this.#range;
    const { points } = await get(["tasks", this.name, "history"], { range });
    if (!isCurrent() || range !== this.#range) return;
    this.#askedAt = Date.now();
    for (const chart of this.#charts) chart.update(points);
  }

  #choose(range) {
    this.#range = range;
    this.#askedAt = 0;
    this.again();
  }
}
