/**
 * Requests to the page's own server, and to no other.
 */

import { API } from "./airflow.js";

const TIMEOUT_SECONDS = 30;
const WORDS = {
  0: "The server does not answer",
  401: "You are not logged in to Airflow any more; log in again and come back",
  403: "You lack the right to do this",
};

/** What the server refused: `status` is 0 without an answer, `problems` lists fields of settings. */
export class ApiError extends Error {
  constructor(status, detail, problems = []) {
    super(detail || WORDS[status] || `The server answered ${status}`);
    this.status = status;
    this.problems = problems;
  }
}

/** GET a path made of segments, with a query. */
export function get(segments, query = {}) {
  return request("GET", segments, { query });
}

/** POST or PUT a JSON body; wait so many seconds, or until a signal says that nobody waits any more. */
export function send(method, segments, body, { seconds, signal } = {}) {
  return request(method, segments, { body, seconds, signal });
}

async function request(method, segments, { query = {}, body, seconds = TIMEOUT_SECONDS, signal }) {
  const url = new URL(segments.map(encodeURIComponent).join("/"), API);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  const headers = { Accept: "application/json" };
  if (method !== "GET") Object.assign(headers, { "Content-Type": "application/json", "X-Trempy-Action": "1" });
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.any([AbortSignal.timeout(seconds * 1000), ...(signal ? [signal] : [])]),
    });
  } catch {
    throw new ApiError(0, signal?.aborted ? "You have cancelled it" : null);
  }
  const content = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, detailOf(content), content?.problems ?? content?.detail?.problems ?? []);
  if (content === null) throw new ApiError(answer.status, "The server's answer is no JSON");
  return content;
}

function detailOf(content) {
  const detail = content?.detail;
  if (Array.isArray(detail)) return detail.map((one) => one.msg ?? String(one)).join("; ");
  return detail?.reason ?? (typeof detail === "string" ? detail : null);
}

const PAGE_ENTRIES = 50;

/** Follow `next` until so many entries of a list are there; return them and whether more exist. */
export async function getList(segments, key, wanted) {
  const entries = [];
  let after = null;
  do {
    const page = await get(segments, { after, limit: Math.min(PAGE_ENTRIES, wanted - entries.length) });
    entries.push(...page[key]);
    after = page.next ?? null;
  } while (after !== null && entries.length < wanted);
  return { entries, more: after !== null };
}
