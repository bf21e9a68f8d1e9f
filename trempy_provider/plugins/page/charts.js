/**
 * Charts as inline SVG, each with its values as text and as a table.
 * A point that is `idle` has values that nobody looked at, since the task waited: its time is shaded and named.
 */

import { h, setText, svg } from "./dom.js";
import { time } from "./format.js";

const WIDTH = 600;
const HEIGHT = 160;
const IDLE = "idle: waiting for changes";

/** Draw a line of the last values without axes; `label` and its range are what a screen reader says. */
export function sparkline(values, label, format) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const words = known.length
    ? `${label}, last hour: lowest ${format(Math.min(...known))}, highest ${format(Math.max(...known))}, now ${format(values.at(-1))}`
    : `${label}, last hour: nothing known yet`;
  const top = Math.max(...known, 0) || 1;
  const path = linePath(values, (index) => (index / Math.max(1, values.length - 1)) * 118 + 1, (value) => 23 - (value / top) * 22);
  return svg(
    "svg",
    { class: "spark", viewBox: "0 0 120 24", role: "img", "aria-label": words, preserveAspectRatio: "none" },
    svg("title", {}, words),
    svg("path", { d: path, "vector-effect": "non-scaling-stroke" }),
  );
}

/** Join values to a path; an unknown value is a gap, a value alone between gaps a dot. */
export function linePath(values, x, y) {
  let path = "";
  let open = false;
  values.forEach((value, index) => {
    const known = value !== null && value !== undefined;
    if (known) {
      const at = `${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
      path += open ? `L${at}` : `M${at}h.01`;
    }
    open = known;
  });
  return path;
}

/**
 * Draw series over time.
 * :param chart: {title, format(value), series: [{label, value(point)}]}, at most four series
 */
export class LineChart {
  #chart;
  #points = [];
  #svg = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: "0" });
  #top = h("span");
  #start = h("span");
  #end = h("span");
  #reading = h("p", { class: "muted reading", role: "status" });
  #cursor = svg("path", { class: "cursor", "vector-effect": "non-scaling-stroke" });
  #at = null;
  #idle = h("li", { class: "idle", hidden: true }, IDLE);
  #table = h("details", { toggle: () => this.#fillTable() }, h("summary", {}, "As a table"), h("div", { class: "scroll", tabindex: "0" }));
  element;

  constructor(chart) {
    this.#chart = chart;
    const legend = chart.series.map((one, index) =>
      h("li", { "data-series": index }, svg("svg", { viewBox: "0 0 24 6", "aria-hidden": "true" }, svg("path", { d: "M0 3h24" })), one.label),
    );
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
    this.#svg.addEventListener("pointermove", (event) => this.#point(event));
    this.#svg.addEventListener("pointerleave", () => this.#read(null));
    this.#svg.addEventListener("blur", () => this.#read(null));
    this.element = h(
      "figure",
      {},
      h("figcaption", {}, h("h3", {}, chart.title), h("ul", { class: "legend" }, legend, this.#idle)),
      h("div", { class: "plot" }, h("div", { class: "scale" }, this.#top, h("span", {}, chart.format(0))), this.#svg),
      h("div", { class: "span" }, this.#start, this.#end),
      this.#reading,
      this.#table,
    );
  }

  /** Show these points, oldest first; each has `at`. */
  update(points) {
    this.#points = points;
    const { series, format, title } = this.#chart;
    const all = series.map((one) => points.map(one.value));
    const known = all.flat().filter((value) => value !== null && value !== undefined);
    const top = Math.max(...known, 0) || 1;
    const paths = all.map((values, index) =>
      svg("path", {
        "data-series": index,
        "vector-effect": "non-scaling-stroke",
        d: linePath(values, (at) => this.#x(at), (value) => HEIGHT - 1 - (value / top) * (HEIGHT - 4)),
      }),
    );
    const idle = points.filter((point) => point.idle).length;
    const words = `${title}. ${series.map((one, index) => `${one.label}: ${summary(all[index], format)}`).join(". ")}`;
    this.#svg.setAttribute("aria-label", idle ? `${words}. ${IDLE} at ${idle} of ${points.length} times` : words);
    this.#idle.hidden = !idle;
    this.#svg.replaceChildren(this.#idleArea(), svg("path", { class: "grid", d: `M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 1}H${WIDTH}` }), ...paths, this.#cursor);
    setText(this.#top, format(top));
    setText(this.#start, points.length ? time(points[0].at) : "");
    setText(this.#end, points.length ? time(points.at(-1).at) : "");
    this.#read(this.#at !== null && this.#at < points.length ? this.#at : null);
    this.#fillTable();
  }

  #x(index) {
    return (index / Math.max(1, this.#points.length - 1)) * (WIDTH - 2) + 1;
  }

  #idleArea() {
    const half = (this.#x(1) - this.#x(0)) / 2;
    const bars = this.#points.map((point, at) => (point.idle ? `M${(this.#x(at) - half).toFixed(1)} 0h${(2 * half).toFixed(1)}V${HEIGHT}h${(-2 * half).toFixed(1)}z` : ""));
    return svg("path", { class: "idle", d: bars.join("") });
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    const last = this.#points.length - 1;
    if (!(event.key in steps) || last < 0) return;
    event.preventDefault();
    this.#read(Math.min(last, Math.max(0, (this.#at ?? last) + steps[event.key])));
  }

  #point(event) {
    const box = this.#svg.getBoundingClientRect();
    const last = this.#points.length - 1;
    if (last >= 0) this.#read(Math.min(last, Math.max(0, Math.round(((event.clientX - box.left) / box.width) * last))));
  }

  #read(index) {
    this.#at = index;
    this.#cursor.setAttribute("d", index === null ? "" : `M${this.#x(index).toFixed(1)} 0V${HEIGHT}`);
    const point = index === null ? null : this.#points[index];
    const values = point && this.#chart.series.map((one) => `${one.label} ${this.#said(point, one)}`);
    setText(this.#reading, point ? `${time(point.at)}: ${values.join(", ")}` : "");
  }

  /** A value of a point as text; of an idle one, those that are not known are none that are missing. */
  #said(point, one) {
    const value = one.value(point);
    return point.idle && (value === null || value === undefined) ? "idle" : this.#chart.format(value);
  }

  #fillTable() {
    if (!this.#table.open) return;
    const { series, title } = this.#chart;
    const head = h("tr", {}, h("th", { scope: "col" }, "Time"), series.map((one) => h("th", { scope: "col", class: "number" }, one.label)));
    const rows = [...this.#points].reverse().map((point) =>
      h("tr", {}, h("th", { scope: "row" }, time(point.at)), series.map((one) => h("td", { class: "number" }, this.#said(point, one)))),
    );
    this.#table.lastElementChild.replaceChildren(
      h("table", { class: "plain", "aria-label": title }, h("thead", {}, head), h("tbody", {}, rows)),
    );
  }
}

function summary(values, format) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (!known.length) return "nothing known";
  return `lowest ${format(Math.min(...known))}, highest ${format(Math.max(...known))}, last ${format(known.at(-1))}`;
}
