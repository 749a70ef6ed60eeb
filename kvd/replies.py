"""The daemon's own replies, and refusals."""

import json
import os
from pathlib import Path
from typing import Any

from kvclient.contract.errors import DataStoreError

DONE = b'{"ok":true}'


def encode(fields: dict[str, Any]) -> bytes:
    """Return a reply with these fields; one that is None is left out."""
    shown = {"ok": True, **{name: value for name, value in fields.items() if value is not None}}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def refusal(error: DataStoreError) -> bytes:
    """Return the reply to what was refused."""
    reply: dict[str, Any] = {
        "ok": False,
        "error": type(error).__name__,
        "message": error.message,
        "keys": [key.encode("utf-8", "backslashreplace").decode() for key in error.keys],
    }
    if error.index is not None:
        reply["index"] = error.index
    return json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def as_text(path: Path | str) -> str:
    """Return a path for JSON: bytes of it that are no UTF-8, which Python keeps as lone surrogates, as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
