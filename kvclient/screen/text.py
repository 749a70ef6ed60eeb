"""Text of unknown origin as a terminal can be given it: data is shown, never carried out."""

import re
from typing import TextIO

# DEL and C1 (of which U+009B begins a command to the terminal), C0 but for the line feed, and what changes the
# direction of writing, with which `a` can be shown as `b`.
_acts_on_terminals = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    r"""Return `text` with the characters escaped that a terminal would act on. As JSON escapes: JSON stays the same.

    >>> shown('"\x9b2J"')
    '"\\u009b2J"'
    """
    return _acts_on_terminals.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def text_for(stream: TextIO | None, text: str) -> str:
    """Return `text` as `shown` if the stream is a terminal, else as it is: a program wants the data."""
    return shown(text) if stream is not None and stream.isatty() else text
