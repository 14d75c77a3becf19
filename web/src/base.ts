/** Knows where the gateway is: beside the page, which may stand below a path of a host that is shared. */

/** The page's own folder, which begins and ends with a slash. */
export const BASE = typeof location === "undefined" ? "/" : location.pathname.replace(/[^/]*$/, "");

/** Returns the path at which the gateway's `path`, which begins with a slash, is found from here. */
export function at(path: string): string {
  return BASE + path.slice(1);
}

/** Returns the name under which the browser stores something: pages below other paths of one host share its storage. */
export function storageKey(name: string): string {
  return BASE === "/" ? name : `${name} ${BASE}`;
}
