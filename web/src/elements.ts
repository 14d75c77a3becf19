/** Making elements without markup: text stays text. */

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

/** An element that index.html has. */
export function part(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** A page that is not a terminal: a heading and what belongs to it, in the middle. */
export function card(title: string, ...children: readonly (Node | string)[]): HTMLElement {
  return make("section", { class: "card" }, make("h1", {}, title), ...children);
}

/** A labelled text field; names, links and tickets are nothing to spell-check or to complete. */
export function textField(id: string, label: string, attributes: Attributes = {}): { row: HTMLElement; input: HTMLInputElement } {
  const plain = { id, type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" };
  const input = make("input", { ...plain, ...attributes });
  return { row: make("p", { class: "field" }, make("label", { for: id }, label), input), input };
}

/** Where a form says what is wrong; read out when it changes. */
export function alertLine(text = ""): HTMLElement {
  return make("p", { class: "problem", role: "alert" }, text);
}
