/** An xterm.js terminal that fills its place on the page and follows its size and colours. */

import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal } from "@xterm/xterm";
import { Store, type Disposable } from "./lifecycle.ts";
import { onThemeChange, theme } from "./theme.ts";

export interface Screen extends Disposable {
  readonly terminal: Terminal;
}

/** Lines kept above the screen. */
const SCROLLBACK = 10_000;
const FONTS = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';

export function createScreen(host: HTMLElement): Screen {
  const store = new Store();
  const terminal = new Terminal({
    allowProposedApi: true, // the choice of a Unicode version
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    fontFamily: FONTS,
    fontSize: 14,
    lineHeight: 1.1, // at 1.0 the DOM renderer cuts the underscores of some fonts off
    scrollback: SCROLLBACK,
    theme: theme(),
  });
  store.add(terminal);
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  terminal.open(host);
  render(terminal, host);
  store.add(follow(terminal, host));
  store.onDispose(onThemeChange(() => (terminal.options.theme = theme())));
  return { terminal, dispose: () => store.dispose() };
}

/** WebGL where it works; xterm.js goes back to its DOM renderer when the addon is disposed of. */
function render(terminal: Terminal, host: HTMLElement): void {
  const forced = new URLSearchParams(location.search).get("renderer") === "dom";
  host.dataset["renderer"] = "dom";
  if (forced) return;
  const webgl = new WebglAddon();
  webgl.onContextLoss(() => {
    host.dataset["renderer"] = "dom";
    webgl.dispose();
  });
  try {
    terminal.loadAddon(webgl);
    host.dataset["renderer"] = "webgl";
  } catch {
    webgl.dispose();
  }
}

/** Many changes of size in one frame are one fit. */
function follow(terminal: Terminal, host: HTMLElement): Disposable {
  const addon = new FitAddon();
  terminal.loadAddon(addon);
  const fit = (): void => {
    if (host.clientWidth > 0 && host.clientHeight > 0) addon.fit(); // hidden: no size that a program should learn
  };
  fit();
  let frame = 0;
  const observer = new ResizeObserver(() => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(fit);
  });
  observer.observe(host);
  return {
    dispose: () => {
      observer.disconnect();
      cancelAnimationFrame(frame);
    },
  };
}
