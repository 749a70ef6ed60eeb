"""What increment means."""

import json
import math

from kvclient.contract.errors import InvalidValueError
from kvclient.contract.operations.increment import Increment
from kvclient.contract.rules import shorten
from kvd.backend.file.store.view import View


def increment(view: View, request: Increment) -> bytes:
    """Add to a number, whole numbers exactly and without bound, others as doubles."""
    key = request.key
    expires_at = view.expires_at(request.ttl)
    state = view.find(key)
    number, owner = request.initial, None
    if state is not None:
        text = view.value(state)
        number, expires_at, owner = json.loads(text), state.expires_at, view.owner(key)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidValueError(f"The value of key {key!r} is not a number: {shorten(text.decode())}", [key])
    value = _sum(number, request.by)
    if value is None:
        raise InvalidValueError(f"The value of key {key!r}, incremented, would be too large for a number.", [key])
    view.put(key, value, expires_at, owner)
    return b'"value":%s' % value


def _sum(number: float, by: float) -> bytes | None:
    try:
        total = number + by
        return json.dumps(total).encode() if math.isfinite(total) else None
    except (OverflowError, ValueError):  # a double, or more digits than Python's int() would take
        return None
