/** Remembers how a tab has its list of pods, so that Back and a reload find it as it was. */

import { storageKey } from "../base.ts";
import { COLUMNS, type Sort } from "./row.ts";
import { asObject, asText } from "../protocol/utf8.ts";
import { stored } from "../storage.ts";

export interface ListMemory {
  cluster: string;
  /** Empty: all. */
  namespace: string;
  query: string;
  sort: Sort | undefined;
  /** Key of the chosen row; undefined until the person moves: then the first row is. */
  active: string | undefined;
  scroll: number;
}

const KEY = storageKey("dap-gateway.list");
let memory: ListMemory | undefined;

export function listMemory(): ListMemory {
  memory ??= read();
  return memory;
}

export function keepListMemory(): void {
  stored((items) => items.setItem(KEY, JSON.stringify(memory)));
}

export function forgetListMemory(): void {
  memory = undefined;
  stored((items) => items.removeItem(KEY));
}

function read(): ListMemory {
  let found: ReturnType<typeof asObject>;
  try {
    found = asObject(JSON.parse(stored((items) => items.getItem(KEY)) ?? "{}"));
  } catch {
    found = {};
  }
  const sort = asObject(found?.["sort"]);
  const column = COLUMNS.find((each) => each === sort?.["column"]);
  const scroll = found?.["scroll"];
  return {
    cluster: asText(found?.["cluster"]),
    namespace: asText(found?.["namespace"]),
    query: asText(found?.["query"]),
    sort: column && { column, descending: sort?.["descending"] === true },
    active: asText(found?.["active"]) || undefined,
    scroll: typeof scroll === "number" ? scroll : 0,
  };
}
