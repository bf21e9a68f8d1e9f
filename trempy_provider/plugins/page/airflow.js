/**
 * The Airflow around this page: its addresses, its theme, its time zone, and how to leave the frame.
 */

const PAGE = new URL("../", import.meta.url);
const AIRFLOW = new URL("../", PAGE);

export const API = new URL("api/", PAGE);

/** Return the address of a DAG's page. */
export function dagUrl(dagId) {
  return new URL(`dags/${encodeURIComponent(dagId)}`, AIRFLOW).href;
}

/** Return an address of this host as the server named it, or null for any other. */
export function ownUrl(text) {
  try {
    const url = new URL(text, AIRFLOW);
    return url.origin === location.origin && url.protocol.startsWith("http") ? url.href : null;
  } catch {
    return null;
  }
}

/** Open one of Airflow's pages where this one is: a frame without the right to navigate asks its parent. */
export function leaveFrame(event) {
  const outer = airflowDocument();
  if (!outer || event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  const link = outer.createElement("a");
  link.href = event.currentTarget.href;
  outer.body.append(link);
  link.click();
  link.remove();
}

function airflowDocument() {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    return null;
  }
}

/** Follow Airflow's theme: the frame's parent, else what Airflow keeps in this browser, else the system's. */
export function followTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    document.documentElement.dataset.theme = chosenTheme() ?? (system.matches ? "dark" : "light");
  };
  apply();
  system.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  const outer = airflowDocument();
  if (outer) {
    new MutationObserver(apply).observe(outer.documentElement, {
      attributes: true,
      attributeFilter: ["class", "data-theme"],
    });
  }
}

function chosenTheme() {
  const outer = airflowDocument()?.documentElement;
  const named = [outer?.dataset.theme, ...(outer?.classList ?? []), stored("theme")];
  return named.find((name) => name === "dark" || name === "light") ?? null;
}

/** Return the time zone chosen in Airflow; Airflow's own default is UTC. */
export function timeZone() {
  const zone = stored("timezone") ?? "UTC";
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return zone;
  } catch {
    return "UTC";
  }
}

function stored(key) {
  try {
    return localStorage.getItem(key)?.replace(/^"|"$/g, "") || null;
  } catch {
    return null;
  }
}
