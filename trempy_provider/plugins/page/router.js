/**
 * Addresses within the page: `#/`, `#/task/NAME/TAB`, `#/assistant`; `?dag_id=` opens the task of a DAG.
 */

/** Return the address of a task's tab. */
export function taskHash(name, tab = "tables") {
  return `#/task/${encodeURIComponent(name)}/${tab}`;
}

/** Read where the address points: {screen, name?, tab?, dagId?}. */
export function currentRoute() {
  const [screen, name, tab] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  if (screen === "task" && name) return { screen, name, tab: tab || "tables" };
  if (screen === "assistant") return { screen, name: name ?? null };
  const dagId = screen || location.hash ? null : new URLSearchParams(location.search).get("dag_id");
  return { screen: "overview", dagId };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
