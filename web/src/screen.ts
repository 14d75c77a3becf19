/** Creates an xterm.js terminal that fills its place on the page, and follows the size of the place and the colours of
 * the page.
 */

import { FitAddon } from "@xterm/addon-fit";
import { SerializeAddon } from "@xterm/addon-serialize";
import { UnicodeGraphemesAddon } from "@xterm/addon-unicode-graphemes";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal, type ITerminalOptions } from "@xterm/xterm";
import { make } from "./elements.ts";
import { findLinks, LINKS } from "./links.ts";
import { Store, type Disposable } from "./lifecycle.ts";
import { restore, take, Unserialized, type Drawn, type Snapshot } from "./snapshot.ts";
import { settings, type Settings } from "./settings.ts";
import { onThemeChange, theme } from "./theme.ts";

export interface Screen extends Disposable {
  readonly terminal: Terminal;
  /** Returns a copy of the screen; undefined if the screen is too large for a copy. */
  copy(output: Drawn): Snapshot | undefined;
  /** Returns what the terminal has as HTML, in the colours of the page. */
  html(): string;
  /** Draws a copy, takes the size of the place again, then calls `drawn`. */
  restore(snapshot: Snapshot, drawn: () => void): void;
}

/** Last bytes of the CSI sequences whose count xterm.js works off one by one, so that a count of 2³¹ would stop the
 * page: CHT, IL, DL, SU, SD, CBT, REP.
 */
const COUNTED = ["I", "L", "M", "S", "T", "Z", "b"];
/** Largest count of such a sequence, more than any screen has lines or columns; a greater count drops the sequence. */
const COUNT = 1000;
/** Names of programs that compute what a graphics processor would draw. */
const COMPUTED = /swiftshader|llvmpipe|softpipe|software|basic render/i;
const FONTS = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';

export function createScreen(host: HTMLElement): Screen {
  const store = new Store();
  const terminal = new Terminal({
    allowProposedApi: true, // to choose a Unicode version
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    lineHeight: 1.1, // at 1.0 the DOM renderer cuts the underscores of some fonts off
    linkHandler: LINKS,
    ...chosen(settings()),
  });
  store.add(terminal);
  terminal.loadAddon(new UnicodeGraphemesAddon()); // a family of emoji is one character, two columns wide
  findLinks(terminal);
  const serializer = new SerializeAddon();
  terminal.loadAddon(serializer);
  for (const final of COUNTED) {
    store.add(terminal.parser.registerCsiHandler({ final }, ([count]) => Number(count ?? 0) > COUNT));
  }
  const unserialized = store.add(new Unserialized(terminal));
  terminal.open(host);
  render(terminal, host);
  const size = store.add(follow(terminal, host));
  store.onDispose(onThemeChange(() => {
    terminal.options = chosen(settings());
    size.hold(false); // a font of another size leaves room for more, or less
  }));
  return {
    terminal,
    copy: (output) => take(terminal, serializer, unserialized, output),
    html: () => serializer.serializeAsHTML({ includeGlobalBackground: true }),
    restore: (snapshot, drawn) => {
      size.hold(true);
      restore(terminal, snapshot, () => {
        size.hold(false);
        drawn();
      });
    },
    dispose: () => store.dispose(),
  };
}

function chosen({ font, fontSize, cursor, scrollback, screenReader }: Settings): ITerminalOptions {
  const fontFamily = font ? `${font}, ${FONTS}` : FONTS;
  return { fontFamily, fontSize, cursorStyle: cursor, scrollback, screenReaderMode: screenReader, theme: theme() };
}

/** Renders with WebGL where that is fast; disposing of the addon brings xterm.js' DOM renderer back. */
function render(terminal: Terminal, host: HTMLElement): void {
  const wanted = new URLSearchParams(location.search).get("renderer");
  host.dataset["renderer"] = "dom";
  if (wanted === "dom" || (wanted !== "webgl" && !isFast())) return;
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

let fast: boolean | undefined;

/** Returns true if a graphics processor is behind WebGL: where WebGL is computed, it draws a quarter of the DOM renderer's frames. */
function isFast(): boolean {
  if (fast !== undefined) return fast;
  const context = make("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!context) return (fast = false);
  const masked = String(context.getParameter(context.RENDERER)).startsWith("WebKit"); // Chromium and Safari tell in an extension
  const told = masked ? context.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL : context.RENDERER;
  fast = told === undefined || !COMPUTED.test(String(context.getParameter(told)));
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return fast;
}

interface Follower extends Disposable {
  /** Keeps the terminal's size if `held` is true; false fits the terminal at once, and follows the place again. */
  hold(held: boolean): void;
}

/** Fits the terminal to `host` now and after each change of the host's size, at most once a frame. */
function follow(terminal: Terminal, host: HTMLElement): Follower {
  const addon = new FitAddon();
  terminal.loadAddon(addon);
  let held = false;
  const fit = (): void => {
    const shown = host.clientWidth > 0 && host.clientHeight > 0; // a hidden place has no size to tell a program
    if (shown && !held) addon.fit();
  };
  fit();
  let frame = 0;
  const observer = new ResizeObserver(() => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(fit);
  });
  observer.observe(host);
  return {
    hold: (value) => {
      held = value;
      fit();
    },
    dispose: () => {
      observer.disconnect();
      cancelAnimationFrame(frame);
    },
  };
}
