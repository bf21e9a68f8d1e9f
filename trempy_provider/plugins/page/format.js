/**
 * Numbers, sizes, durations and times as text; null is unknown and shown as a dash.
 */

import { timeZone } from "./airflow.js";

export const UNKNOWN = "–";
const SIZES = ["B", "kB", "MB", "GB", "TB", "PB"];
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
let clock = null;

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** 1234567 → "1,234,567". */
export function count(value) {
  return known(value) ? whole.format(value) : UNKNOWN;
}

/** 12.345 → "12.3". */
export function number(value) {
  return known(value) ? short.format(value) : UNKNOWN;
}

/** 1234567 bytes → "1.23 MB". */
export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < SIZES.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${short.format(value)} ${SIZES[unit]}`;
}

/** 93784 seconds → "1 d 2 h"; below a second, milliseconds. */
export function duration(value) {
  if (!known(value)) return UNKNOWN;
  if (value < 0.0005) return "0 s";
  if (value < 0.9995) return `${short.format(value * 1000)} ms`;
  if (value < 59.95) return `${short.format(value)} s`;
  const minutes = Math.round(value / 60);
  if (value < 3600) return pair(Math.floor(Math.round(value) / 60), "min", Math.round(value) % 60, "s");
  if (minutes < 1440) return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
  return pair(Math.floor(minutes / 1440), "d", Math.floor((minutes % 1440) / 60), "h");
}

function pair(large, largeUnit, small, smallUnit) {
  return small ? `${large} ${largeUnit} ${small} ${smallUnit}` : `${large} ${largeUnit}`;
}

/** 12.3 → "12.3 rows/s". */
export function rate(value, unit = "rows/s") {
  return known(value) ? `${short.format(value)} ${unit}` : UNKNOWN;
}

/** 45.678 → "45.6 %": rounded down, so that what is not finished never reads as 100 %. */
export function percent(value) {
  return known(value) ? `${Math.floor(Math.min(value, 100) * 10) / 10} %` : UNKNOWN;
}

/** An ISO time → "2026-03-04 05:06:07" in the time zone chosen in Airflow. */
export function time(text) {
  const at = new Date(text ?? NaN);
  if (Number.isNaN(at.getTime())) return UNKNOWN;
  clock ??= new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: timeZone() });
  return clock.format(at);
}

/** How a word of the server is written on the page: "full_load_and_cdc" → "full load and cdc". */
export function words(text) {
  return String(text ?? UNKNOWN).replaceAll("_", " ");
}

/** A value of a row as one line of text; null differs from the text "null" by how it is written. */
export function cell(value) {
  if (value === null || value === undefined) return "∅ null";
  return typeof value === "string" ? value : JSON.stringify(value);
}
