/** Takes files and directories that a person drags onto an element. */

import { archive, LARGEST, type Packed } from "../archive.ts";

/** Files and directories of one directory, at most. */
const MOST = 20_000;

/** What is to be uploaded: a file, or a directory, whose files come as one archive. */
export interface Dropped {
  readonly name: string;
  readonly directory: boolean;
  /** Returns the file, or the archive. Rejects with a sentence about a directory that cannot be packed. */
  file(): Promise<File>;
}

export function droppedFile(file: File): Dropped {
  return { name: file.name, directory: false, file: () => Promise.resolve(file) };
}

/** Calls `take` with what was dropped; while it is over the element, the element has `data-dropping`. */
export function takeDropped(element: HTMLElement, ready: () => boolean, take: (dropped: readonly Dropped[]) => void): void {
  const over = (event: DragEvent): boolean => ready() && (event.dataTransfer?.types.includes("Files") ?? false);
  for (const name of ["dragenter", "dragover"] as const) {
    element.addEventListener(name, (event) => {
      if (!over(event)) return;
      event.preventDefault();
      element.dataset["dropping"] = "";
    });
  }
  element.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!(relatedTarget instanceof Node && element.contains(relatedTarget))) delete element.dataset["dropping"];
  });
  element.addEventListener("drop", (event) => {
    delete element.dataset["dropping"];
    if (!over(event)) return;
    event.preventDefault();
    take(droppedIn(event.dataTransfer));
  });
}

function droppedIn(data: DataTransfer | null): Dropped[] {
  return [...(data?.items ?? [])].filter(({ kind }) => kind === "file").flatMap((item) => {
    const entry = item.webkitGetAsEntry();
    if (entry?.isDirectory) return [directory(entry as FileSystemDirectoryEntry)];
    const file = item.getAsFile();
    return file ? [droppedFile(file)] : [];
  });
}

export function directory(entry: FileSystemDirectoryEntry): Dropped {
  const { name } = entry;
  return { name, directory: true, file: async () => new File(archive(await below(entry, name)), name) };
}

/** Returns the directory that a person has chosen, whose files a browser names by their paths. */
export function chosenDirectory(files: readonly File[]): Dropped[] {
  const packed = files.map((file) => ({ path: file.webkitRelativePath, file }));
  const name = packed[0]?.path.split("/")[0];
  return name === undefined ? [] : [{ name, directory: true, file: () => Promise.resolve(new File(archive(packed), name)) }];
}

/** Returns all that is in a directory, each directory before what is in it. */
async function below(entry: FileSystemDirectoryEntry, path: string, found: Packed[] = []): Promise<Packed[]> {
  found.push({ path });
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((settle, fail) => reader.readEntries(settle, fail));
    if (some.length === 0) return found;
    for (const each of some) {
      const where = `${path}/${each.name}`;
      if (each.isDirectory) await below(each as FileSystemDirectoryEntry, where, found);
      else found.push({ path: where, file: await fileOf(each as FileSystemFileEntry, where) });
      if (found.length > MOST) throw new Error(`it has more than ${MOST.toLocaleString("en")} files: “dap cp” uploads it`);
    }
  }
}

async function fileOf(entry: FileSystemFileEntry, path: string): Promise<File> {
  const file = await new Promise<File>((settle, fail) => entry.file(settle, fail));
  if (file.size > LARGEST) throw new Error(`${path} is larger than 8 GiB: upload it by itself`);
  return file;
}
