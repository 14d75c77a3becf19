/** Draws the page's few icons. */

const SVG = "http://www.w3.org/2000/svg";
/** Strokes in a square of 16. */
const STROKES = {
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10M10.7 10.7 14 14",
  recent: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 4.8V8l2.2 1.4",
  open: "M6 3.5 10.5 8 6 12.5",
  close: "M4 4l8 8M12 4l-8 8",
  up: "M4 9.5 8 5.5l4 4",
  down: "M4 6.5l4 4 4-4",
  lock: "M4 7.5h8V14H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
  none: "M2.5 4.5 8 2l5.5 2.5v6L8 13.5l-5.5-3zM2.5 4.5 8 7.2l5.5-2.7M8 7.2v6.3",
  broken: "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.2",
} as const;
export type IconName = keyof typeof STROKES;

export function icon(name: IconName): SVGSVGElement {
  const drawing = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" })) {
    drawing.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", STROKES[name]);
  drawing.append(path);
  return drawing;
}
