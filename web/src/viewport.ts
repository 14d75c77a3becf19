/** Keeps the page above the keyboard of the screen, where the browser lays the keyboard over the page (Safari). Others
 * make the page smaller by themselves, as index.html asks them to (interactive-widget).
 */

/** Follows the part of the window that can be seen; a page that is pinched larger is left alone. */
export function followViewport(): void {
  const viewport = window.visualViewport;
  if (!viewport) return;
  const fit = (): void => {
    const covered = Math.abs(viewport.scale - 1) < 0.01 && window.innerHeight - viewport.height > 1;
    document.body.style.height = covered ? `${viewport.height}px` : "";
    if (covered) window.scrollTo(0, 0);
  };
  viewport.addEventListener("resize", fit);
}
