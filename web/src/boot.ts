/** Lets xterm.js, which is imported later, run under a policy without 'unsafe-inline': style elements get the
 * response's nonce, and style attributes (RGB colours in the DOM renderer) become CSSOM calls.
 */

const nonce = document.querySelector<HTMLScriptElement>("script[nonce]")?.nonce ?? "";

const createElement = document.createElement.bind(document);
document.createElement = (name: string, options?: ElementCreationOptions): HTMLElement => {
  const element = createElement(name, options);
  if (element instanceof HTMLStyleElement) element.nonce = nonce;
  return element;
};

const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (this: Element, name: string, value: string): void {
  if (name === "style" && this instanceof HTMLElement) this.style.cssText = value;
  else setAttribute.call(this, name, value);
};
