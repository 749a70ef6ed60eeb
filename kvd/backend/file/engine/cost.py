"""What an operation costs: an upper bound of the bytes that it adds to a commit, so that the store knows what fits."""

from collections.abc import Sequence

from kvd.backend.file.engine.footnote import FRAME_BYTES, cost_of_clear, cost_of_removal
from kvd.backend.file.engine.format import encode_change, encode_owner
from kvd.backend.file.engine.interface import Clear, Put, Removal

# Upper bounds: an entry without its key, value and owner, or its removal, and what a footnote says of that; an outcome
# without its client; its fields without their client.
_ENTRY_BYTES, _OUTCOME_BYTES, _RESULT_BYTES = 96, 48, 32
# A character of a key or a client: 4 bytes of UTF-8, or an escaped quote or backslash. None of them is a control
# character, whose escape would be longer.
_CHARACTER_BYTES = 4


def rough_cost(changes: Sequence[tuple[str, Put | Removal]]) -> int:
    """Return an upper bound of the bytes of changes, quickly."""
    # Sums of lists: a batch has thousands of changes, and a loop takes three times as long.
    cost = len(changes) * _ENTRY_BYTES + _CHARACTER_BYTES * sum([len(key) for key, _ in changes])
    puts = [change for _, change in changes if isinstance(change, Put)]
    owned = [put.owner for put in puts if put.owner is not None]
    return cost + sum([len(put.value) for put in puts]) + sum([len(encode_owner(owner)) for owner in owned])


def close_cost(changes: Sequence[tuple[str, Put | Removal]]) -> int:
    """Return an upper bound of the bytes of changes, as close as it can be without the commit that they will be in."""
    cost = FRAME_BYTES
    for key, change in changes:
        cost += len(encode_change(key, change))
        if isinstance(change, Removal):
            cost += cost_of_removal(change)
    return cost


def cost_of_reply(client: str | None, fields: bytes, clear: Clear | None) -> int:
    """Return an upper bound of the bytes of an operation's outcome, if `client` asks for it, and of its clear."""
    cost = 0
    if client is not None:
        cost += len(client) * _CHARACTER_BYTES + _OUTCOME_BYTES
        if fields:
            cost += len(client) * _CHARACTER_BYTES + len(fields) + _RESULT_BYTES
    if clear is not None:
        cost += cost_of_clear(clear) + FRAME_BYTES
    return cost
