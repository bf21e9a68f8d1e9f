/**
 * A form made from a JSON Schema. What is left empty is not written, so that its default holds.
 * Parts that have many shapes (filters, transformations) are edited as JSON.
 */

import { h } from "./dom.js";
import { join, resolved, withoutNull } from "./schema.js";

let numbered = 0;

/** :param changed: called with the value after each change */
export class SchemaForm {
  #schema;
  #changed;
  #value;
  #fields = new Map();
  element = h("div", { class: "form" });

  constructor(schema, changed) {
    this.#schema = schema;
    this.#changed = changed;
  }

  /** Show a value, from anew. */
  show(value) {
    this.#value = structuredClone(value);
    this.#fields.clear();
    this.element.replaceChildren(...this.#properties(this.#schema, this.#value, "", (next) => (this.#value = next)));
  }

  /** Mark the fields that problems are about. */
  mark(problems) {
    for (const { input, error } of this.#fields.values()) {
      input.removeAttribute("aria-invalid");
      error.textContent = "";
    }
    for (const { path, message } of problems) {
      const field = this.#nearest(path ?? "");
      if (!field) continue;
      field.input.setAttribute("aria-invalid", "true");
      field.error.textContent = message;
    }
  }

  #nearest(path) {
    for (let at = path; at; at = at.replace(/(\.[^.[]*|\[\d+\]|^[^.[]*)$/, "")) {
      if (this.#fields.has(at)) return this.#fields.get(at);
    }
    return null;
  }

  #properties(schema, object, path, put) {
    const known = Object.entries(resolved(schema, this.#schema).properties ?? {});
    return known
      .filter(([key, part]) => key !== "$schema" && !isUnused(resolved(part, this.#schema)))
      .map(([key, part]) => {
        const set = (value) => {
          if (object === undefined) put((object = {}));
          if (value === undefined) delete object[key];
          else object[key] = value;
        };
        return this.#part(part, object?.[key], join(path, key), key, set);
      });
  }

  #part(schema, value, path, label, set) {
    const { schema: rules, nullable } = withoutNull(schema, this.#schema);
    if (rules.properties) {
      const keep = (next) => set(next);
      const open = !path.includes(".");
      return h("details", { class: "group", open }, h("summary", {}, label), help(rules), ...this.#properties(rules, value, path, keep));
    }
    const items = rules.type === "array" ? withoutNull(rules.items ?? {}, this.#schema).schema : null;
    if (items?.properties) return this.#list(rules, items, value ?? [], path, label, set);
    const field = this.#input(rules, items, nullable, value, set);
    return this.#field(field, rules, path, label);
  }

  #list(rules, items, list, path, label, set) {
    const body = h("div");
    const draw = () => {
      const remove = (index) => () => {
        list.splice(index, 1);
        set(list);
        draw();
        this.#changed(this.#value);
      };
      const drawn = list.map((one, index) =>
        h(
          "fieldset",
          {},
          h("legend", {}, `${label} ${index + 1}`),
          ...this.#properties(items, one, `${path}[${index}]`, () => {}),
          h("button", { type: "button", click: remove(index) }, `Remove ${label} ${index + 1}`),
        ),
      );
      body.replaceChildren(...drawn);
    };
    const add = () => {
      list.push({});
      set(list);
      draw();
      body.lastElementChild.querySelector("input, select, textarea")?.focus();
      this.#changed(this.#value);
    };
    draw();
    return h("details", { class: "group", open: list.length < 10 }, h("summary", {}, label), help(rules), body, h("button", { type: "button", click: add }, `Add to ${label}`));
  }

  #field(input, rules, path, label) {
    const id = `field-${(numbered += 1)}`;
    const error = h("span", { class: "error", id: `${id}-error` });
    input.id = id;
    input.setAttribute("aria-label", path);
    input.setAttribute("aria-describedby", `${id}-help ${id}-error`);
    this.#fields.set(path, { input, error });
    return h("div", { class: "field" }, h("label", { for: id }, label), input, h("span", { class: "muted small", id: `${id}-help` }, rules.description ?? ""), error);
  }

  #input(rules, items, nullable, value, set) {
    const written = rules.default === undefined ? "" : `default: ${JSON.stringify(rules.default)}`;
    const store = (next) => {
      set(next);
      this.#changed(this.#value);
    };
    if (rules.enum || rules.type === "boolean") return choice(rules.enum ?? [true, false], nullable, value, written, store);
    if (rules.type === "string") return textInput(value, written, (text) => store(text === "" ? undefined : text));
    if (rules.type === "integer" || rules.type === "number") {
      return textInput(value, written, (text) => store(text.trim() === "" ? undefined : asNumber(text)), "decimal");
    }
    if (items?.type === "string") return lines(value, written, store);
    return json(value, store);
  }
}

function help(rules) {
  return rules.description ? h("p", { class: "muted small" }, rules.description) : null;
}

function isUnused(rules) {
  return Boolean(rules.enum?.includes(null) && rules.enum.includes(""));
}

function asNumber(text) {
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

function textInput(value, placeholder, store, inputmode = null) {
  const shown = value === undefined || value === null ? "" : String(value);
  return h("input", { ".value": shown, placeholder, inputmode, autocomplete: "off", spellcheck: "false", input: (event) => store(event.target.value) });
}

function choice(values, nullable, value, unset, store) {
  const options = [undefined, ...values, ...(nullable && !values.includes(null) ? [null] : [])];
  const at = options.findIndex((one) => one === value);
  const select = h("select", { change: () => store(options[select.selectedIndex]) }, options.map((one) => h("option", {}, one === undefined ? unset || "not set" : String(one))));
  select.selectedIndex = Math.max(0, at);
  return select;
}

function lines(value, placeholder, store) {
  const read = (text) => text.split("\n").filter((line) => line !== "");
  const change = (event) => store(event.target.value === "" ? undefined : read(event.target.value));
  return h("textarea", { rows: 2, placeholder: `one per line; ${placeholder}`, spellcheck: "false", ".value": (value ?? []).join("\n"), input: change });
}

function json(value, store) {
  const change = (event) => {
    try {
      store(event.target.value.trim() === "" ? undefined : JSON.parse(event.target.value));
    } catch {
      store(event.target.value);
    }
  };
  return h("textarea", { rows: 6, class: "code", spellcheck: "false", ".value": value === undefined ? "" : JSON.stringify(value, null, 2), input: change });
}
