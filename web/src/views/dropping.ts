/** Takes files that a person drags onto an element. */

/** Calls `take` with the files; while they are over the element, it has `data-dropping`. */
export function takeDropped(element: HTMLElement, ready: () => boolean, take: (files: readonly File[]) => void): void {
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
    take(filesIn(event.dataTransfer));
  });
}

/** Returns the files without the directories among them, which a browser shows as files, too. */
function filesIn(data: DataTransfer | null): File[] {
  const items = [...(data?.items ?? [])].filter((item) => item.kind === "file" && !item.webkitGetAsEntry()?.isDirectory);
  return items.map((item) => item.getAsFile()).filter((file) => file !== null);
}
