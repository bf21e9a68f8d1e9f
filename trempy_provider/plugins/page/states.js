/**
 * States as a shape, a word and a colour: the colour alone never says anything.
 */

import { h, setText, svg } from "./dom.js";

const SHAPES = {
  play: "M4 2.5v11l9-5.5z",
  bars: "M4 3h3v10H4zM9 3h3v10H9z",
  square: "M3.5 3.5h9v9h-9z",
  arrow: "M8 2v7.2l2.6-2.6L12 8l-4 4.2L4 8l1.4-1.4L7 9.2V2zM3 13h10v1.4H3z",
  cross: "M4.2 3 8 6.8 11.8 3 13 4.2 9.2 8l3.8 3.8-1.2 1.2L8 9.2 4.2 13 3 11.8 6.8 8 3 4.2z",
  glass: "M4 2h8v2.6L9.2 8l2.8 3.4V14H4v-2.6L6.8 8 4 4.6z",
  question: "M5 5.6C5 3.7 6.3 2.5 8.1 2.5S11 3.7 11 5.3c0 2.1-2.1 2.2-2.1 4H7.2c0-2.6 2-2.9 2-4 0-.6-.4-1.1-1.1-1.1-.8 0-1.2.5-1.2 1.4zM7.1 11h1.9v2H7.1z",
  tick: "M6.4 10.4 12.8 4 14 5.2 6.4 12.8 2 8.4l1.2-1.2z",
};
const LOOKS = {
  running: ["play", "good"],
  loading: ["arrow", "busy"],
  waiting: ["glass", "busy"],
  paused: ["bars", "quiet"],
  stopped: ["square", "quiet"],
  failed: ["cross", "bad"],
  ready: ["tick", "good"],
  loaded: ["tick", "good"],
  pending: ["glass", "quiet"],
  error: ["cross", "bad"],
  equal: ["tick", "good"],
  repaired: ["tick", "good"],
  different: ["cross", "bad"],
  unsettled: ["glass", "busy"],
  not_compared: ["question", "quiet"],
};

/** Tell how much a task needs somebody: failed first, running last. */
export const URGENCY = ["failed", "stopped", "unknown", "waiting", "paused", "loading", "running"];

/** Make the badge of a state. */
export function stateBadge(state) {
  const badge = h("span", { class: "state" }, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path")), h("span"));
  showState(badge, state);
  return badge;
}

/** Show another state in a badge. */
export function showState(badge, state) {
  const [shape, tone] = LOOKS[state] ?? ["question", "quiet"];
  badge.dataset.tone = tone;
  badge.querySelector("path").setAttribute("d", SHAPES[shape]);
  setText(badge.lastElementChild, String(state ?? "unknown").replaceAll("_", " "));
}
