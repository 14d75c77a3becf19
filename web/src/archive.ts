/** Packs files into an archive, as tar reads it. The browser reads each file only when its bytes are sent. */

export interface Packed {
  /** Relative, its parts separated by slashes. */
  readonly path: string;
  /** Undefined for a directory. */
  readonly file?: File | undefined;
}

const BLOCK = 512;
/** Bytes of a file beyond which a header has no room for the number. */
export const LARGEST = 8 ** 11 - 1;

/** Returns the archive's parts, for a Blob or a File. */
export function archive(entries: readonly Packed[]): BlobPart[] {
  const parts = entries.flatMap(({ path, file }): BlobPart[] => {
    const name = new TextEncoder().encode(file ? path : `${path}/`);
    const time = Math.floor((file?.lastModified ?? Date.now()) / 1000);
    const header = headerOf({ name, size: file?.size ?? 0, type: file ? "0" : "5", time });
    // a name that is too long stands before its file, as GNU tar writes it and all others read it
    const long = name.length > 100 ? [headerOf({ name: new TextEncoder().encode("././@LongLink"), size: name.length + 1, type: "L", time: 0 }), name, padding(name.length, 1)] : [];
    return [...long, header, ...(file ? [file, padding(file.size)] : [])];
  });
  return [...parts, new Uint8Array(2 * BLOCK)];
}

function headerOf({ name, size, type, time }: { name: Uint8Array; size: number; type: string; time: number }): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(BLOCK);
  const put = (at: number, text: string): void => header.set(new TextEncoder().encode(text), at);
  const octal = (at: number, digits: number, value: number): void => put(at, value.toString(8).padStart(digits, "0"));
  header.set(name.subarray(0, 100));
  octal(100, 7, type === "5" ? 0o755 : 0o644);
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, size);
  octal(136, 11, Math.max(0, time));
  put(148, " ".repeat(8)); // as the sum is counted
  put(156, type);
  put(257, "ustar  ");
  octal(148, 6, header.reduce((sum, byte) => sum + byte, 0));
  header[154] = 0;
  return header;
}

/** Returns what fills the last block, with at least so many bytes. */
function padding(size: number, least = 0): Uint8Array<ArrayBuffer> {
  const whole = Math.ceil((size + least) / BLOCK) * BLOCK;
  return new Uint8Array(whole - size);
}
