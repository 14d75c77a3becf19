/** Divides a view among panes: a pane alone, or two parts beside or below each other, each of which may be divided. */

/** Names a pane, or says how two parts share the place. */
export type Layout = string | Split;
export type Way = "right" | "below";
export type Direction = "left" | "right" | "up" | "down";

export interface Split {
  /** Where the second part is, seen from the first. */
  readonly way: Way;
  /** What the first part has of the whole, from 0 to 1. */
  readonly share: number;
  readonly first: Layout;
  readonly second: Layout;
}

/** A rectangle, in fractions of the whole view. */
export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Divider {
  /** Leads to the split from the root: a 1 or a 2 for each step. */
  readonly id: string;
  readonly split: Split;
  /** Where the split is, with both of its parts. */
  readonly area: Area;
}

export interface Placed {
  readonly panes: ReadonlyMap<string, Area>;
  readonly dividers: readonly Divider[];
}

const WHOLE: Area = { left: 0, top: 0, width: 1, height: 1 };
/** What a part has at least of its split. */
const LEAST = 0.1;
/** Splits inside of each other, at most. */
const DEEPEST = 8;

export function panesOf(layout: Layout): string[] {
  return typeof layout === "string" ? [layout] : [...panesOf(layout.first), ...panesOf(layout.second)];
}

/** Returns the layout in which `pane` has given half of its place to `added`. */
export function splitPane(layout: Layout, pane: string, added: string, way: Way): Layout {
  if (layout === pane) return { way, share: 0.5, first: pane, second: added };
  if (typeof layout === "string") return layout;
  return { ...layout, first: splitPane(layout.first, pane, added, way), second: splitPane(layout.second, pane, added, way) };
}

/** Returns the layout with those panes alone that `stays` is true for; undefined if that is none. */
export function onlyPanes(layout: Layout, stays: (pane: string) => boolean): Layout | undefined {
  if (typeof layout === "string") return stays(layout) ? layout : undefined;
  const first = onlyPanes(layout.first, stays);
  const second = onlyPanes(layout.second, stays);
  return first !== undefined && second !== undefined ? { ...layout, first, second } : (first ?? second);
}

/** Returns where each pane and each divider is. */
export function place(layout: Layout, area: Area = WHOLE, id = ""): Placed {
  if (typeof layout === "string") return { panes: new Map([[layout, area]]), dividers: [] };
  const [first, second] = halves(layout, area);
  const one = place(layout.first, first, `${id}1`);
  const two = place(layout.second, second, `${id}2`);
  return { panes: new Map([...one.panes, ...two.panes]), dividers: [{ id, split: layout, area }, ...one.dividers, ...two.dividers] };
}

/** Returns the layout in which the divider `id` leaves `share` to the first part. */
export function moveDivider(layout: Layout, id: string, share: number): Layout {
  if (typeof layout === "string") return layout;
  const [step, rest] = [id[0], id.slice(1)];
  if (step === undefined) return { ...layout, share: Math.min(1 - LEAST, Math.max(LEAST, share)) };
  if (step === "1") return { ...layout, first: moveDivider(layout.first, rest, share) };
  return { ...layout, second: moveDivider(layout.second, rest, share) };
}

/** Returns the layout in which `pane` has `by` more of the innermost split that it is a part of. */
export function grow(layout: Layout, pane: string, by: number): Layout {
  if (typeof layout === "string") return layout;
  if (layout.first === pane) return moveDivider(layout, "", layout.share + by);
  if (layout.second === pane) return moveDivider(layout, "", layout.share - by);
  return { ...layout, first: grow(layout.first, pane, by), second: grow(layout.second, pane, by) };
}

/** Returns the layout in which a border of `pane` has moved by `by` in a direction: the border on that side, at the margin
 * the one on the other.
 */
export function moveBorder(layout: Layout, pane: string, direction: Direction, by: number): Layout {
  const way: Way = direction === "left" || direction === "right" ? "right" : "below";
  const forth = direction === "right" || direction === "down";
  let [near, other]: (Divider | undefined)[] = [];
  for (const divider of place(layout).dividers) { // each before those within it
    const first = panesOf(divider.split.first).includes(pane);
    if (divider.split.way !== way || !(first || panesOf(divider.split.second).includes(pane))) continue;
    if (first === forth) near = divider;
    else other = divider;
  }
  const found = near ?? other;
  return found ? moveDivider(layout, found.id, found.split.share + (forth ? by : -by)) : layout;
}

/** Returns the pane next to `pane` in a direction, the one with the longest common edge; undefined at the margin. */
export function neighbour(layout: Layout, pane: string, direction: Direction): string | undefined {
  const { panes } = place(layout);
  const from = panes.get(pane);
  if (!from) return undefined;
  const across = direction === "left" || direction === "right";
  let found: string | undefined;
  let longest = 1e-6;
  for (const [name, area] of panes) {
    const edge = across ? common(from.top, from.height, area.top, area.height) : common(from.left, from.width, area.left, area.width);
    if (touches(from, area, direction) && edge > longest) [found, longest] = [name, edge];
  }
  return found;
}

/** Returns the layout that was stored; undefined for whatever is none. */
export function parseLayout(value: unknown, depth = 0): Layout | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || depth === DEEPEST) return undefined;
  const { way, share, first, second } = value as Record<string, unknown>;
  if ((way !== "right" && way !== "below") || typeof share !== "number" || !(share >= LEAST && share <= 1 - LEAST)) return undefined;
  const [one, two] = [parseLayout(first, depth + 1), parseLayout(second, depth + 1)];
  return one !== undefined && two !== undefined ? { way, share, first: one, second: two } : undefined;
}

function halves({ way, share }: Split, { left, top, width, height }: Area): [Area, Area] {
  if (way === "right") {
    return [{ left, top, width: width * share, height }, { left: left + width * share, top, width: width * (1 - share), height }];
  }
  return [{ left, top, width, height: height * share }, { left, top: top + height * share, width, height: height * (1 - share) }];
}

/** Returns the length that two stretches of a line have in common. */
function common(start: number, length: number, otherStart: number, otherLength: number): number {
  return Math.min(start + length, otherStart + otherLength) - Math.max(start, otherStart);
}

function touches(from: Area, area: Area, direction: Direction): boolean {
  const gaps = {
    left: area.left + area.width - from.left,
    right: from.left + from.width - area.left,
    up: area.top + area.height - from.top,
    down: from.top + from.height - area.top,
  };
  return Math.abs(gaps[direction]) < 1e-6;
}
