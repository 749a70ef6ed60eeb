"""Large requests are parsed in steps, however many members they have, and however large these are."""

import pytest

from kvd.limits import Limits
from kvd.requests import chunks
from kvd.requests.parser import Parser
from large_requests import _filled, _puts, brackets, escapes, numbers, small_puts

SHAPES = {
    "many small members": (small_puts, 8),
    "large members with a comma every third byte": (brackets, 15),
    "large members that look as if they ended everywhere": (
        lambda peer: _puts(peer, [_filled(b"{}", b"[", b"]")] * 15),
        15,
    ),
    "large members of numbers": (numbers, 15),
    "large members of escapes": (escapes, 15),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_there_are_as_many_steps_as_it_takes(shape, monkeypatch):
    """And all that is looked at on the way is a few times the request, not hundreds of times."""
    request, least = SHAPES[shape]
    body, looked_at = request(0), 0
    original = chunks.chunks

    def counting(text, decode):
        def counted(part):
            nonlocal looked_at
            looked_at += len(part)
            return decode(part)

        return original(text, counted)

    monkeypatch.setattr("kvd.requests.parser.chunks", counting)

    steps = list(Parser(Limits()).steps(body))

    assert least <= len(steps)
    assert looked_at < 5 * len(body)
