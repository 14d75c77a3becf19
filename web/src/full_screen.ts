/** Fills the whole screen with the page, where a program gets the keys, too, that browsers keep for themselves. */

/** Keyboard Lock, which Chromium has, and only over HTTPS or on localhost. */
interface Keyboard {
  lock?(): Promise<void>;
  unlock?(): void;
}

/** Keys that a browser takes before the page, and what a terminal sends for each. */
export const TAKEN = [
  ["Ctrl-W", "\x17"],
  ["Ctrl-T", "\x14"],
  ["Ctrl-N", "\x0e"],
] as const;

export function isFullScreen(): boolean {
  return document.fullscreenElement !== null;
}

/** Returns true if the whole keyboard is the page's in full screen. */
export function locksKeys(): boolean {
  return keyboard()?.lock !== undefined;
}

/** Fills the screen, or goes back to the window. In full screen Escape is the program's, and held down leads back. */
export async function toggleFullScreen(): Promise<void> {
  if (isFullScreen()) return document.exitFullscreen();
  await document.documentElement.requestFullscreen();
  await keyboard()?.lock?.();
  const changed = (): void => {
    if (isFullScreen()) return;
    keyboard()?.unlock?.();
    document.removeEventListener("fullscreenchange", changed);
  };
  document.addEventListener("fullscreenchange", changed);
}

function keyboard(): Keyboard | undefined {
  return "keyboard" in navigator ? (navigator.keyboard as Keyboard) : undefined;
}
