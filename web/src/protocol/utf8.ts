/** UTF-8 and JSON. The two classes are in every browser and in node, but not in the es2022 library. */

declare const TextEncoder: new () => {
  encode(text: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, into: Uint8Array): { read: number; written: number };
};
declare const TextDecoder: new () => { decode(data: Uint8Array): string };

export type JsonObject = { readonly [name: string]: unknown };

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** As much of `text` as fits into `into`, in whole characters: UTF-16 units read, bytes written. */
export function toBytesInto(text: string, into: Uint8Array): { read: number; written: number } {
  return new TextEncoder().encodeInto(text, into);
}

/** The JSON object in `data`, or undefined where there is none. */
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

/** A whole number from 0 on; anything else is undefined. Fractions of what counts down are cut off. */
export function asCount(value: unknown): number | undefined {
  const whole = typeof value === "number" ? Math.floor(value) : -1;
  return whole >= 0 && Number.isSafeInteger(whole) ? whole : undefined;
}
