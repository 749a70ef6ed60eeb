"""Text of unknown origin as a terminal can be given it: data is shown, never carried out."""

import re
from typing import TextIO

_acts_on_terminals = re.compile(
    "["
    # DEL and C1 (of which U+009B begins a command to the terminal), C0 but for the line feed.
    "\x00-\x09\x0b-\x1f\x7f-\x9f"
    # What changes the direction of writing, with which `a` can be shown as `b`.
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    # What nobody sees, with which two keys look like one: soft hyphen, fillers, zero width space, line separators,
    # invisible operators, byte order mark, tags. Not the joiners, which emoji and Persian are made with.
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\U000e0000-\U000e0fff"
    "]"
)


def shown(text: str) -> str:
    r"""Return `text` with the characters escaped that a terminal would act on. As JSON escapes: JSON stays the same.

    >>> shown('"\x9b2J"')
    '"\\u009b2J"'
    """
    return _acts_on_terminals.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    pairs = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{pairs[at : at + 4]}" for at in range(0, len(pairs), 4))


def text_for(stream: TextIO | None, text: str) -> str:
    """Return `text` as `shown` if the stream is a terminal, else as it is: a program wants the data."""
    return shown(text) if stream is not None and stream.isatty() else text
