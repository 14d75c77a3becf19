/** Collects what has to be undone: everything that listens goes into a store, and disposing of the store stops the
 * listeners.
 */

export interface Disposable {
  dispose(): void;
}

export class Store implements Disposable {
  readonly #undo: Disposable[] = [];
  #disposed = false;

  get disposed(): boolean {
    return this.#disposed;
  }

  add<T extends Disposable>(item: T): T {
    this.#undo.push(item);
    return item;
  }

  onDispose(undo: () => void): void {
    this.add({ dispose: undo });
  }

  /** Disposes of the items, the latest first. A second call does nothing. */
  dispose(): void {
    this.#disposed = true;
    for (let item = this.#undo.pop(); item; item = this.#undo.pop()) item.dispose();
  }
}

export function listen<K extends keyof WindowEventMap>(
  source: Window,
  name: K,
  handler: (event: WindowEventMap[K]) => void,
): Disposable {
  source.addEventListener(name, handler);
  return { dispose: () => source.removeEventListener(name, handler) };
}

/** Calls `handler` whenever the page becomes visible again, until the result is disposed of. */
export function onVisible(handler: () => void): Disposable {
  const changed = (): void => {
    if (document.visibilityState === "visible") handler();
  };
  document.addEventListener("visibilitychange", changed);
  return { dispose: () => document.removeEventListener("visibilitychange", changed) };
}
