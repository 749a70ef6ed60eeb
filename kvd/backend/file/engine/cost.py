"""What an operation costs: an upper bound of the bytes that it adds to a commit, so that the store knows what fits."""

from collections.abc import Sequence

from kvd.backend.file.engine.footnote import FRAME_BYTES, cost_of_removal
from kvd.backend.file.engine.format import encode_change, encode_owner
from kvd.backend.file.engine.interface import Put, Removal

# Upper bounds: an entry without its key, value and owner, or its removal, and what a footnote says of that; an outcome
# without its client; its fields without their client.
_ENTRY_BYTES, _OUTCOME_BYTES, _RESULT_BYTES = 96, 48, 32
# A character of a key or a client: 4 bytes of UTF-8, or an escaped quote or backslash. None of them is a control
# character, whose escape would be longer.
_CHARACTER_BYTES = 4


def rough_cost(changes: Sequence[tuple[str, Put | Removal]], client: str | None, fields: bytes) -> int:
    """Return an upper bound of the bytes of changes and of their outcome, if `client` asks for it, quickly."""
    cost = 0
    if client is not None:
        cost = 2 * (len(client) * _CHARACTER_BYTES + _OUTCOME_BYTES) + len(fields)  # in the marker, and among results
    for key, change in changes:
        cost += _ENTRY_BYTES + _CHARACTER_BYTES * len(key)
        if len(change) > 2:  # a put; `isinstance` takes twice as long
            cost += len(change[0])
            if change[3] is not None:
                cost += len(encode_owner(change[3]))
    return cost


def close_cost(changes: Sequence[tuple[str, Put | Removal]], client: str | None, fields: bytes) -> int:
    """Return an upper bound of the same, as close as it can be without the commit that they will be in."""
    cost = FRAME_BYTES
    if client is not None:
        cost += len(client) * _CHARACTER_BYTES + _OUTCOME_BYTES
        if fields:
            cost += len(client) * _CHARACTER_BYTES + len(fields) + _RESULT_BYTES
    for key, change in changes:
        cost += len(encode_change(key, change))
        if isinstance(change, Removal):
            cost += cost_of_removal(change)
    return cost
