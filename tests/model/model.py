"""What every operation means, once more and as simply as possible: a dict with revisions, and no disk."""

import builtins
from typing import Any, NamedTuple


class Known(NamedTuple):
    """What must be found under a key."""

    value: Any
    expires_at: float | None = None
    revision: int | None = None
    """None until the reply has told it."""


class Refused(Exception):
    """The operation is refused: with which error, for which keys, and in a batch at which operation."""

    def __init__(self, error: str, *keys: str) -> None:
        super().__init__(error)
        self.error = error
        self.keys = list(keys)
        self.index: int | None = None


class Model:
    """All keys, whether they have expired or not. Every method is an operation, with its fields as on the wire.

    Changes return what the reply says besides the revision; `touched` then has the keys that have the new revision.
    """

    def __init__(self) -> None:
        self.keys: dict[str, Known] = {}
        self.now = 0.0
        self.touched: list[str] = []

    def perform(self, request: dict[str, Any], now: float) -> "dict[str, Any] | Refused":
        """Carry out a request. Where that is `Refused`, nothing is changed."""
        self.now, self.touched = now, []
        before = dict(self.keys)
        fields = {name: value for name, value in request.items() if name not in ("op", "id")}
        try:
            return getattr(self, request["op"])(**fields)
        except Refused as refused:
            self.keys = before
            return refused

    def settle(self, revision: int) -> None:
        """Note the revision that the last change was told for all that it touched."""
        for key in self.touched:
            self.keys[key] = self.keys[key]._replace(revision=revision)

    def live(self, now: float, prefix: str = "") -> dict[str, Known]:
        """Return what is visible, in order."""
        return {
            key: known
            for key, known in sorted(self.keys.items())
            if key.startswith(prefix) and (known.expires_at is None or known.expires_at > now)
        }

    def _find(self, key: str) -> Known | None:
        known = self.keys.get(key)
        return None if known is None or (known.expires_at is not None and known.expires_at <= self.now) else known

    def _existing(self, key: str, if_revision: int | None = None) -> Known:
        self._check(key, if_revision)
        if (known := self._find(key)) is None:
            raise Refused("KeyNotFoundError", key)
        return known

    def _check(self, key: str, if_revision: int | None) -> None:
        known = self._find(key)
        if if_revision is not None and if_revision != (0 if known is None else known.revision):
            raise Refused("RevisionMismatchError", key)

    def _put(self, key: str, value: Any, expires_at: float | None) -> dict[str, Any]:
        self.keys[key] = Known(value, expires_at)
        self.touched.append(key)
        return {}

    def _expiry(self, ttl: float | None) -> float | None:
        return None if ttl is None else self.now + ttl

    # Changes.

    def create(self, key: str, value: Any, ttl: float | None = None) -> dict[str, Any]:
        if self._find(key) is not None:
            raise Refused("KeyExistsError", key)
        return self._put(key, value, self._expiry(ttl))

    def put(
        self,
        key: str,
        value: Any,
        ttl: float | None = None,
        *,
        keep_ttl: bool = False,
        if_revision: int | None = None,
    ) -> dict[str, Any]:
        self._check(key, if_revision)
        known = self._find(key)
        kept = known.expires_at if keep_ttl and known is not None else None
        return self._put(key, value, kept if keep_ttl else self._expiry(ttl))

    def update(self, key: str, value: Any, if_revision: int | None = None, **more: Any) -> dict[str, Any]:
        self._existing(key, if_revision)
        return self.put(key, value, **more)

    def delete(self, key: str, if_revision: int | None = None) -> dict[str, Any]:
        self._existing(key, if_revision)
        del self.keys[key]
        return {}

    def pop(self, key: str, if_revision: int | None = None) -> dict[str, Any]:
        known = self._existing(key, if_revision)
        del self.keys[key]
        return {"value": known.value}

    def increment(self, key: str, by: float = 1, initial: float = 0, ttl: float | None = None) -> dict[str, Any]:
        known = self._find(key) or Known(initial, self._expiry(ttl))
        if type(known.value) not in (int, float):
            raise Refused("InvalidValueError", key)
        self._put(key, known.value + by, known.expires_at)
        return {"value": known.value + by}

    def expire(self, key: str, ttl: float | None) -> dict[str, Any]:
        return self._put(key, self._existing(key).value, self._expiry(ttl))

    def batch_create(self, items: dict[str, Any], ttl: float | None = None) -> dict[str, Any]:
        if there := [key for key in items if self._find(key) is not None]:
            raise Refused("KeyExistsError", *there)
        for key, value in items.items():
            self._put(key, value, self._expiry(ttl))
        return {}

    def delete_many(self, keys: list[str]) -> dict[str, Any]:
        deleted = [key for key in dict.fromkeys(keys) if self._find(key) is not None]
        for key in deleted:
            del self.keys[key]
        return {"deleted": deleted}

    def clear(self, prefix: str = "") -> dict[str, Any]:
        cleared = list(self.live(self.now, prefix))
        for key in cleared:
            del self.keys[key]
        return {"deleted": len(cleared)}

    def batch(self, operations: list[dict[str, Any]]) -> dict[str, Any]:
        results = []
        for index, operation in enumerate(operations):
            try:
                results.append(getattr(self, operation["op"])(**{k: v for k, v in operation.items() if k != "op"}))
            except Refused as refused:
                refused.index = index
                raise
        self.touched = []  # each has a revision of its own, which `results` tell
        return {"results": results}

    # Reads.

    def read(self, key: str) -> dict[str, Any]:
        return self._shown(self._existing(key))

    def exists(self, key: str) -> dict[str, Any]:
        return {"exists": self._find(key) is not None}

    def count(self, prefix: str = "") -> dict[str, Any]:
        return {"count": len(self.live(self.now, prefix))}

    def list(self, prefix: str = "", after: str = "", limit: int = 1000, *, values: bool = False) -> dict[str, Any]:
        found = [(key, known) for key, known in self.live(self.now, prefix).items() if key > after]
        entries = [{"key": key, **self._shown(known, value=values)} for key, known in found[:limit]]
        return {"entries": entries, "more": len(found) > limit}

    def read_many(self, keys: builtins.list[str]) -> dict[str, Any]:
        found = [(key, self._find(key)) for key in dict.fromkeys(keys)]
        return {"entries": [{"key": key, **self._shown(known)} for key, known in found if known is not None]}

    def _shown(self, known: Known, *, value: bool = True) -> dict[str, Any]:
        shown = {"revision": known.revision}
        if value:
            shown["value"] = known.value
        if known.expires_at is not None:
            shown["expires_at"] = known.expires_at
        return shown
