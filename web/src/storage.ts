/** Reaches the storage of this tab of the browser, which a reload keeps. */

/** Returns what `use` makes of the storage; undefined where the browser lets a page store nothing, or no more. */
export function stored<T>(use: (items: Storage) => T): T | undefined {
  try {
    return use(sessionStorage);
  } catch {
    return undefined;
  }
}
