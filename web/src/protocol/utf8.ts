/** Converts UTF-8 and JSON. Declares two classes that every browser and node have, but the es2022 library lacks. */

declare const TextEncoder: new () => {
  encode(text: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, into: Uint8Array): { read: number; written: number };
};
declare const TextDecoder: new () => { decode(data: Uint8Array): string };

export type JsonObject = { readonly [name: string]: unknown };

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Encodes into `into` as many whole characters of `text` as fit; returns the UTF-16 units read and bytes written. */
export function toBytesInto(text: string, into: Uint8Array): { read: number; written: number } {
  return new TextEncoder().encodeInto(text, into);
}

/** Returns the JSON object in `data`; undefined if `data` holds something else. */
export function parseObject(data: Uint8Array): JsonObject | undefined {
  try {
    return asObject(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return undefined;
  }
}

export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

export function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Rounds `value` down to a whole number from 0 on; undefined for anything else. Countdowns may have fractions. */
export function asCount(value: unknown): number | undefined {
  const whole = typeof value === "number" ? Math.floor(value) : -1;
  return whole >= 0 && Number.isSafeInteger(whole) ? whole : undefined;
}
