"""Colour for people: on a terminal that has it, and never in a pipe.

Of the basic colours, as the terminal has them, those that can be read on a dark background and on a light one: not
yellow and white, nor blue and black.

Not rich's: that takes longer to import than most commands take to run.
"""

import os
import re
from typing import TextIO

STYLES = {
    "bold": "1",
    "red": "31",
    "green": "32",
    "magenta": "35",
    "cyan": "36",
    "failure": "1;31",
}

_json_token = re.compile(
    r"""(?P<cyan>"(?:[^"\\]|\\.)*"(?=\s*:))|(?P<green>"(?:[^"\\]|\\.)*")"""
    r"""|(?P<magenta>-?\d[\d.eE+-]*|true|false|null)"""
)


def coloured(stream: TextIO | None) -> bool:
    """Tell whether text on `stream` may be coloured: a terminal that can, and nobody who minds (NO_COLOR)."""
    if stream is None or not stream.isatty():
        return False
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def painted(stream: TextIO | None, text: str, style: str) -> str:
    """Return `text` in a style of `STYLES`; as it is where `stream` has no colour. The text has to be escaped before.

    >>> painted(None, "key1", "cyan")
    'key1'
    """
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if text and coloured(stream) else text


def painted_json(stream: TextIO | None, text: str) -> str:
    """Return JSON with names, strings and all other values apart; as it is where `stream` has no colour."""
    if not coloured(stream):
        return text
    return _json_token.sub(lambda found: painted(stream, found[0], found.lastgroup or "bold"), text)
