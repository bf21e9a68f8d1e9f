/**
 * Charts as inline SVG, each with its values as text and as a table.
 */

import { h, setText, svg } from "./dom.js";
import { time } from "./format.js";

const WIDTH = 600;
const HEIGHT = 160;

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
      h("figcaption", {}, h("h3", {}, chart.title), h("ul", { class: "legend" }, legend)),
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
    const words = `${title}. ${series.map((one, index) => `${one.label}: ${summary(all[index], format)}`).join(". ")}`;
    this.#svg.setAttribute("aria-label", words);
    this.#svg.replaceChildren(svg("path", { class: "grid", d: `M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 1}H${WIDTH}` }), ...paths, this.#cursor);
    setText(this.#top, format(top));
    setText(this.#start, points.length ? time(points[0].at) : "");
    setText(this.#end, points.length ? time(points.at(-1).at) : "");
    this.#read(this.#at !== null && this.#at < points.length ? this.#at : null);
    this.#fillTable();
  }

  #x(index) {
    return (index / Math.max(1, this.#points.length - 1)) * (WIDTH - 2) + 1;
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
    const values = point && this.#chart.series.map((one) => `${one.label} ${this.#chart.format(one.value(point))}`);
    setText(this.#reading, point ? `${time(point.at)}: ${values.join(", ")}` : "");
  }

  #fillTable() {
    if (!this.#table.open) return;
    const { series, format, title } = this.#chart;
    const head = h("tr", {}, h("th", { scope: "col" }, "Time"), series.map((one) => h("th", { scope: "col", class: "number" }, one.label)));
    const rows = [...this.#points].reverse().map((point) =>
      h("tr", {}, h("th", { scope: "row" }, time(point.at)), series.map((one) => h("td", { class: "number" }, format(one.value(point))))),
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
