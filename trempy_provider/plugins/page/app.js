/**
 * The page: which screen is shown, and when it asks the server.
 */

import { followTheme } from "./airflow.js";
import { Assistant } from "./assistant.js";
import { h, nameOf } from "./dom.js";
import { complain, unanswered } from "./messages.js";
import { Overview } from "./overview.js";
import { Poll } from "./poll.js";
import { currentRoute, taskHash } from "./router.js";
import { TaskScreen } from "./task.js";

const main = document.getElementById("main");
let screen = null;
let poll = null;
let wantedDag = currentRoute().dagId;

followTheme();
window.addEventListener("hashchange", navigate);
document.getElementById("refresh").addEventListener("click", () => poll.now());
navigate();

function navigate() {
  const route = currentRoute();
  if (route.screen === "task" && screen instanceof TaskScreen && screen.name === route.name) {
    screen.show(route.tab);
    poll.now();
    return;
  }
  const first = screen === null;
  if (route.screen === "task") {
    open(new TaskScreen(route.name, () => poll.now()));
    screen.show(route.tab);
  } else if (route.screen === "assistant") {
    open(new Assistant(route.name));
  } else {
    open(new Overview(openWantedDag));
  }
  poll.now();
  if (!first) main.focus();
}

function open(next) {
  poll?.stop();
  screen?.leave?.();
  screen = next;
  document.title = next.title;
  main.replaceChildren(next.element);
  poll = new Poll(() => ask(next), next.seconds);
}

async function ask(asking) {
  try {
    await asking.ask(() => asking === screen);
    return true;
  } catch (error) {
    if (asking === screen) fail(asking, error);
    return false;
  }
}

function fail(asking, error) {
  if (error.status === 404 && asking instanceof TaskScreen && !asking.isKnown) {
    main.replaceChildren(h("h1", {}, nameOf(asking.name)), h("p", {}, error.message), h("p", {}, h("a", { href: "#/" }, "← All tasks")));
  } else {
    unanswered(error);
  }
  if (!(error.status >= 0)) throw error;
}

/** Opened as a tab of a DAG: show the task that the DAG belongs to. */
function openWantedDag(tasks) {
  if (!wantedDag) return;
  const dagId = wantedDag;
  wantedDag = null;
  const task = tasks.find((one) => Object.values(one.dags ?? {}).includes(dagId));
  if (task) location.replace(taskHash(task.name));
  else complain(`The DAG ${dagId} belongs to no replication task.`);
}
