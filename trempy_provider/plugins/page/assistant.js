/**
 * The assistant: describe a task, look at the draft as a change, prove it, and save it. Nothing is saved unasked.
 */

import { get, send } from "./api.js";
import { ask } from "./dialog.js";
import { h, nameOf, visible } from "./dom.js";
import { showProof } from "./dry_run.js";
import { diffTable, Editor } from "./editor.js";
import { complain, problemList, tell } from "./messages.js";
import { showList } from "./overview.js";
import { taskHash } from "./router.js";

const PATIENCE_SECONDS = 170; // the server gives up before
const NO_CHOICES = { databases: [], brokers: [], models: [], model: null, defaults: {} };

/** The screen; `name` is the task to change, null for a new one. */
export class Assistant {
  seconds = Infinity;
  #name;
  #etag = null;
  #refused = null; // the text of a draft that cannot be saved as it is
  #editor = null;
  #choices = null;
  #asking = null;
  #description = h("textarea", { rows: 4, required: true, maxlength: 20000 });
  #task = h("input", { pattern: "[a-z0-9_]*", maxlength: 50, autocomplete: "off", spellcheck: "false" });
  #source = connectionInput("databases");
  #target = connectionInput("databases");
  #broker = connectionInput("brokers");
  #model = h("input", { list: "models", autocomplete: "off", spellcheck: "false" });
  #values = h("input", { type: "checkbox" });
  #lists = h("div", { hidden: true });
  #draft = h("button", { type: "submit", class: "primary" }, "Draft");
  #cancel = h("button", { type: "button", hidden: true, click: () => this.leave() }, "Cancel");
  #working = h("span", { role: "status", class: "muted" });
  #why = h("section", { "aria-label": "The draft" });
  #place = h("div");
  #rows = h("input", { type: "checkbox" });
  #prove = h("button", { type: "button", disabled: true, click: () => this.#dryRun() }, "Dry run");
  #save = h("button", { type: "button", class: "primary", disabled: true, click: () => this.#confirm() }, "Save…");
  #proof = h("section", { "aria-label": "Dry run" });
  #steps = h("div", { hidden: true });
  element;

  constructor(name) {
    this.#name = name;
    this.title = `Assistant${name ? ` – ${name}` : ""} – Replication`;
    if (name) Object.assign(this.#task, { value: name, readOnly: true });
    const tools = [this.#prove, h("label", { class: "check" }, this.#rows, "with values of the first rows, before and after"), this.#save];
    this.#steps.append(this.#place, h("div", { class: "buttons" }, tools), this.#proof);
    const heading = name ? ["Draft a change of ", nameOf(name)] : ["Draft a replication task"];
    this.element = h("div", {}, h("p", {}, h("a", { href: "#/" }, "← All tasks")), h("h1", {}, heading), this.#form(), this.#why, this.#steps);
  }

  /** Learn which connections there are to choose from. */
  async ask(isCurrent) {
    if (this.#choices) return;
    const choices = await get(["assistant", "context"], { task_name: this.#name });
    if (!isCurrent()) return;
    this.#choices = { ...NO_CHOICES, ...choices };
    this.#offer(this.#choices);
  }

  /** Wait for no draft any more; the server then ends it, too. */
  leave() {
    this.#asking?.abort();
  }

  #form() {
    const submit = (event) => {
      event.preventDefault();
      if (!this.#asking) this.#ask();
    };
    return h(
      "form",
      { submit },
      field("What is to be replicated, in any language", this.#description),
      field("Name of the task", this.#task, this.#name ? null : "left empty, the draft chooses one"),
      h(
        "details",
        { class: "group" },
        h("summary", {}, "Connections and model"),
        field("Source", this.#source),
        field("Target", this.#target),
        field("Broker", this.#broker),
        field("Language model", this.#model, "left empty, the advisor drafts without a model: tables, mode, parallelism and batch sizes, but no filters and transformations"),
        h("label", { class: "check" }, this.#values, "Let the model see the most common values of columns; no others are sent, and no rows"),
      ),
      this.#lists,
      h("div", { class: "buttons" }, this.#draft, this.#cancel, this.#working),
    );
  }

  #offer({ databases, brokers, models, model, defaults }) {
    const list = (id, names) => h("datalist", { id }, names.map((value) => h("option", { value })));
    this.#lists.replaceChildren(list("databases", databases), list("brokers", brokers), list("models", models));
    const present = this.#name ? "as the settings have it now" : null;
    this.#source.placeholder = present ?? defaults.source ?? "";
    this.#target.placeholder = present ?? defaults.target ?? "";
    this.#broker.placeholder = present ?? defaults.broker ?? "";
    this.#model.value ||= model ?? "";
  }

  async #ask() {
    const name = this.#task.value;
    const body = {
      description: this.#description.value,
      task_name: name,
      source_conn: this.#source.value,
      target_conn: this.#target.value,
      broker_conn: this.#broker.value,
      model_conn: this.#model.value,
      allow_values: this.#values.checked,
    };
    await this.#wait(this.#draft, this.#model.value ? "Asking the model; this may take a minute or two…" : "Drafting…", "There is no draft", async (signal) => {
      const etag = await presentEtag(name);
      const draft = await send("POST", ["assistant", "draft"], body, { seconds: PATIENCE_SECONDS, signal });
      this.#etag = etag;
      this.#show(draft);
    });
  }

  #show(draft) {
    const warnings = h("ul", { class: "reasons" });
    showList(warnings, draft.warnings);
    const reasons = draft.reasons.map(({ path, text }) => h("div", {}, h("dt", {}, h("code", {}, visible(path))), h("dd", {}, visible(text))));
    const author = draft.by === "advisor" ? "Draft of the advisor, without a model" : `Draft of the model ${visible(draft.author)}`;
    const wrong = draft.problems.length ? [h("p", { class: "alarm" }, "✕ The draft cannot be saved as it is:"), problemList(draft.problems)] : [];
    this.#why.replaceChildren(h("h2", {}, author), ...wrong, warnings, h("h3", {}, "Why"), h("dl", { class: "row" }, reasons));
    this.#proof.replaceChildren();
    this.#refused = draft.problems.length ? draft.text : null;
    this.#editor = new Editor({
      schema: draft.schema,
      canEdit: true,
      ask: (text) => send("POST", ["tasks", nameIn(text), "settings", "check"], { text }),
      settled: () => this.#settled(),
    });
    this.#steps.hidden = false;
    this.#place.replaceChildren(this.#editor.element);
    this.#editor.show(draft.text);
  }

  #settled() {
    const { valid = false, diff = [], text = null } = this.#editor ?? {};
    this.#save.disabled = !(valid && diff.length && text !== this.#refused);
    this.#prove.disabled = !valid || Boolean(this.#asking);
  }

  async #dryRun() {
    const body = { text: this.#editor.text, rows: this.#rows.checked };
    this.#proof.replaceChildren(h("p", { class: "muted" }, "Trying the settings on a sample of rows…"));
    await this.#wait(this.#prove, "", "The dry run was not made", async (signal) => {
      showProof(this.#proof, await send("POST", ["assistant", "dry_run"], body, { seconds: PATIENCE_SECONDS, signal }));
    });
    if (this.#proof.querySelector("h2") === null) this.#proof.replaceChildren();
  }

  async #confirm() {
    const { text, diff } = this.#editor;
    const name = nameIn(text);
    const body = [h("p", {}, "Airflow makes the task's DAGs from these settings; none of them runs until it is started."), diffTable(diff)];
    if (!(await ask({ title: `Save the task ${name}?`, body, confirm: "Save" }))) return;
    await this.#wait(this.#save, "Saving…", "The draft was not saved", async () => {
      const etag = name === this.#task.value ? this.#etag : null;
      await send("PUT", ["tasks", name, "settings"], { text, etag });
      tell(`The task ${name} has been saved.`);
      location.hash = taskHash(name, "settings");
    });
  }

  async #wait(button, words, failure, act) {
    this.#asking = new AbortController();
    this.#working.textContent = words;
    button.disabled = true;
    this.#cancel.hidden = false;
    try {
      await act(this.#asking.signal);
    } catch (error) {
      complain(`${failure}: ${error.message}.`.replace("..", "."), error.problems);
    } finally {
      this.#asking = null;
      this.#working.textContent = "";
      this.#cancel.hidden = true;
      this.#draft.disabled = false;
      this.#settled();
    }
  }
}

async function presentEtag(name) {
  if (!name) return null;
  try {
    return (await get(["tasks", name, "settings"])).etag;
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

function field(label, input, help = null) {
  return h("label", { class: "field" }, h("strong", {}, label), input, help ? h("span", { class: "muted small" }, help) : null);
}

function connectionInput(list) {
  return h("input", { list, autocomplete: "off", spellcheck: "false" });
}

function nameIn(text) {
  try {
    return String(JSON.parse(text).task.task_name || "unnamed");
  } catch {
    return "unnamed";
  }
}
