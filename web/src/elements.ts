/** Makes elements without markup, so that text stays text. */

type Attributes = Readonly<Record<string, string>>;

export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Returns the element of index.html with this `id`; throws if index.html has no such element. */
export function part(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** Makes the middle of a page without a terminal: a heading, and the content below the heading. */
export function card(title: string, ...children: readonly (Node | string)[]): HTMLElement {
  return make("section", { class: "card" }, make("h1", {}, title), ...children);
}

/** Makes a labelled text field for names, links and tickets, which are neither spell-checked nor completed. */
export function textField(id: string, label: string, attributes: Attributes = {}): { row: HTMLElement; input: HTMLInputElement } {
  const plain = { id, type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" };
  const input = make("input", { ...plain, ...attributes });
  return { row: make("p", { class: "field" }, make("label", { for: id }, label), input), input };
}

/** Makes the line in which a form says what is wrong; a screen reader reads out each change of the line. */
export function alertLine(text = ""): HTMLElement {
  return make("p", { class: "problem", role: "alert" }, text);
}
