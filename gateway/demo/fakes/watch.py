"""Says what a watch of the invented cluster sees: what there is, if it is asked for, and then nothing but bookmarks."""

from . import objects
from .api import answer, parameters
from .cluster import RefusedError

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable

    from .objects import Object

BOOKMARK = 60.0  # seconds between two
_INITIAL_END = "k8s.io/initial-events-end"


class Watch:
    """Holds one watch of `path`, as a client wrote it. `shown`: what becomes of each object, a Table of it perhaps. Raises
    RefusedError.
    """

    def __init__(self, path: str, shown: "Callable[[Object], Object]") -> None:
        query = parameters(path.partition("?")[2])
        found = answer(path)
        if not isinstance(found, dict) or "items" not in found:
            raise RefusedError("Error from server (MethodNotAllowed): the demo watches lists only")
        self.bookmarks = query.get("allowWatchBookmarks") == "true"
        self.seconds = float(query["timeoutSeconds"]) if query.get("timeoutSeconds", "").isdigit() else None
        self._kind = {"kind": found["kind"].removesuffix("List"), "apiVersion": found["apiVersion"]}
        self._items = found["items"]
        self._shown = shown
        self._initial = query.get("sendInitialEvents") == "true"
        self._state = self._initial or query.get("resourceVersion", "") in ("", "0")

    def begin(self) -> "list[Object]":
        """Returns the first events: the state, for whoever has not seen it in a list."""
        events: list[Object] = []
        if self._state:
            events += [{"type": "ADDED", "object": self._shown(item)} for item in self._items]
        if self._initial:
            events.append(self.bookmark({_INITIAL_END: "true"}))
        return events

    def bookmark(self, annotations: "dict[str, str] | None" = None) -> "Object":
        """Returns the event that says how far the watch has come."""
        metadata: Object = {"resourceVersion": objects.VERSION, "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        shown = self._shown({**self._kind, "metadata": metadata, "items": []})
        shown.pop("items", None)
        return {"type": "BOOKMARK", "object": shown}
