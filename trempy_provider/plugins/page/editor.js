/**
 * An editor of settings, as a form and as JSON: what is typed is checked by the schema at once and by the server
 * when the typing rests, and what would change is shown before anything is saved.
 */

import { h, nameOf, setText } from "./dom.js";
import { cell } from "./format.js";
import { SchemaForm } from "./form.js";
import { problemList } from "./messages.js";
import { check } from "./schema.js";

const REST_MILLISECONDS = 350;

/**
 * :param options: {schema, canEdit, ask(text): promise of {valid, problems, diff}, settled(state)}
 */
export class Editor {
  text = "";
  diff = [];
  valid = false;
  #options;
  #timer = null;
  #asked = 0;
  #form;
  #area = h("textarea", { class: "code", rows: 24, spellcheck: "false", "aria-label": "Settings as JSON", input: () => this.#typed(this.#area.value) });
  #problems = h("div", { role: "status", class: "verdict" });
  #changes = h("div");
  #views;
  element;

  constructor(options) {
    this.#options = options;
    this.#form = new SchemaForm(options.schema, (value) => this.#typed(JSON.stringify(value, null, 2)));
    this.#area.readOnly = !options.canEdit;
    this.#views = h("fieldset", { class: "choices" }, h("legend", {}, "Edit as"), ["Form", "JSON"].map((label) => this.#view(label)));
    const form = h("fieldset", { class: "bare", disabled: !options.canEdit }, this.#form.element);
    this.element = h(
      "div",
      { class: "editor" },
      this.#views,
      h("div", { class: "columns" }, h("div", {}, form, this.#area), h("div", { class: "beside" }, h("h3", {}, "Check"), this.#problems, h("h3", {}, "What would change"), this.#changes)),
    );
    this.#choose("Form");
  }

  /** Show a text, from anew. */
  show(text) {
    this.#area.value = text;
    this.#showForm(text);
    this.#typed(text);
  }

  /** Ask the server again: what is stored has changed. */
  again() {
    this.#typed(this.text);
  }

  #view(label) {
    return h("label", { class: "choice" }, h("input", { type: "radio", name: "view", value: label, change: () => this.#choose(label) }), label);
  }

  #choose(label) {
    for (const input of this.#views.querySelectorAll("input")) input.checked = input.value === label;
    const asForm = label === "Form";
    if (asForm && !this.#showForm(this.text)) return this.#choose("JSON");
    if (!asForm) this.#area.value = this.text;
    this.#form.element.parentElement.hidden = !asForm;
    this.#area.hidden = asForm;
  }

  #showForm(text) {
    try {
      const value = text ? JSON.parse(text) : {};
      if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
      this.#form.show(value);
      return true;
    } catch {
      return false;
    }
  }

  #typed(text) {
    this.text = text;
    this.#settle(false, []);
    clearTimeout(this.#timer);
    const problems = checkText(text, this.#options.schema);
    this.#show(problems, problems.length ? "" : "Checking…");
    this.#timer = setTimeout(() => this.#askServer(text), REST_MILLISECONDS);
  }

  async #askServer(text) {
    const asked = (this.#asked += 1);
    try {
      const { valid, problems, diff } = await this.#options.ask(text);
      if (asked !== this.#asked || text !== this.text) return;
      this.#show(problems, valid ? "✓ These settings are valid." : "");
      this.#settle(valid, diff ?? []);
    } catch (error) {
      if (asked === this.#asked) this.#show([{ path: null, message: `could not be checked: ${error.message}` }], "");
    }
  }

  #show(problems, words) {
    this.#form.mark(problems);
    if (problems.length) this.#problems.replaceChildren(h("p", { class: "alarm" }, `✕ ${problems.length === 1 ? "One problem" : `${problems.length} problems`}`), problemList(problems));
    else setText(this.#problems, words);
  }

  #settle(valid, diff) {
    this.valid = valid;
    this.diff = diff;
    this.#changes.replaceChildren(diffTable(diff));
    this.#options.settled(this);
  }
}

/** Show changes of settings: path, before, after. */
export function diffTable(diff) {
  if (!diff.length) return h("p", { class: "muted" }, "Nothing.");
  const value = (one) => (one === null || one === undefined ? "–" : cell(one));
  const rows = diff.map(({ path, before, after }) =>
    h("tr", {}, h("th", { scope: "row" }, nameOf(path)), h("td", { class: "before" }, h("del", {}, value(before))), h("td", { class: "after" }, h("ins", {}, value(after)))),
  );
  const head = h("tr", {}, ["Setting", "Before", "After"].map((label) => h("th", { scope: "col" }, label)));
  return h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain", "aria-label": "What would change" }, h("thead", {}, head), h("tbody", {}, rows)));
}

function checkText(text, schema) {
  try {
    return check(JSON.parse(text), schema);
  } catch (error) {
    return [{ path: null, message: `This is no JSON: ${error.message}` }];
  }
}
