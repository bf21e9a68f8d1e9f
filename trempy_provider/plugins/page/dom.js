/**
 * Elements without HTML text: names and values of databases become text nodes and nothing else.
 */

const SVG = "http://www.w3.org/2000/svg";

/** Make an element. Functions are listeners, true and false switch attributes, `.name` sets a property. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name.startsWith(".")) element[name.slice(1)] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set the text of an element, and touch it only where the text differs. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show a name as the database has it: isolated from the direction of the text around, line ends visible. */
export function nameOf(text) {
  return h("bdi", { class: "name" }, visible(text));
}

/** Make control characters visible that would change how a line looks. */
export function visible(text) {
  return String(text)
    .replace(/\r\n|\r|\n/g, "⏎")
    .replace(/[\u0000-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, "\ufffd");
}

/** Return the focus to where it was after `change` has moved elements. */
export function keepingFocus(change) {
  const focused = document.activeElement;
  change();
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}
