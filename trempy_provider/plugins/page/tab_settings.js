/**
 * The settings of a task, edited and saved to its Variable.
 */

import { get, send } from "./api.js";
import { ask } from "./dialog.js";
import { h, nameOf } from "./dom.js";
import { diffTable, Editor } from "./editor.js";
import { complain, tell } from "./messages.js";

export class SettingsTab {
  #stored = null;
  #editor = null;
  #save = h("button", { type: "button", class: "primary", disabled: true, click: () => this.#confirm() }, "Save…");
  #revert = h("button", { type: "button", disabled: true, click: () => this.#editor.show(this.#stored.text) }, "Undo my changes");
  element = h("section", {}, h("p", { class: "muted" }, "Loading…"));

  constructor(name, again) {
    this.name = name;
    this.again = again;
  }

  async ask(isCurrent) {
    if (this.#editor) return;
    const stored = await get(["tasks", this.name, "settings"]);
    if (!isCurrent() || this.#editor) return;
    this.#stored = stored;
    this.#editor = new Editor({
      schema: stored.schema,
      canEdit: stored.can_edit,
      ask: (text) => send("POST", ["tasks", this.name, "settings", "check"], { text }),
      settled: (editor) => this.#settled(editor),
    });
    const place = stored.variable ? ["Kept in the Variable ", nameOf(stored.variable)] : ["Kept in ", nameOf(stored.origin)];
    const reason = stored.variable ? ". You lack the right to change it." : ", which cannot be changed here.";
    const where = h("p", { class: "muted" }, place, stored.can_edit ? ". " : reason, stored.can_edit ? h("a", { href: `#/assistant/${encodeURIComponent(this.name)}` }, "Describe a change") : null);
    this.element.replaceChildren(where, this.#editor.element, h("div", { class: "buttons sticky" }, this.#revert, this.#save));
    this.#editor.show(stored.text);
  }

  #settled(editor) {
    this.#save.disabled = !(this.#stored.can_edit && editor.valid && editor.diff.length);
    this.#revert.disabled = editor.text === this.#stored.text;
  }

  async #confirm() {
    const { text, diff } = this.#editor;
    const body = [h("p", {}, "The task takes the new settings with its next run."), diffTable(diff)];
    if (!(await ask({ title: `Save the settings of ${this.name}?`, body, confirm: "Save" }))) return;
    try {
      const { etag } = await send("PUT", ["tasks", this.name, "settings"], { text, etag: this.#stored.etag });
      this.#stored = { ...this.#stored, text, etag };
      tell("The settings have been saved.");
    } catch (error) {
      if (error.status === 409) await this.#takeOver();
      else complain(`The settings were not saved: ${error.message}.`.replace("..", "."), error.problems);
    }
    this.#editor.again();
    this.again();
  }

  /** Somebody has saved meanwhile: keep what was typed, and compare it with what is stored now. */
  async #takeOver() {
    this.#stored = await get(["tasks", this.name, "settings"]).catch(() => this.#stored);
    complain("The settings were not saved: somebody else has changed them meanwhile. What you typed is kept; the changes shown are now against theirs.");
  }
}
