"""How many columns text takes on a terminal, and text cut to so many."""

import os
import sys
import unicodedata

_IN_A_PIPE = 80
_WITHOUT_WIDTH = ("Mn", "Me", "Cf")
"""Categories of what is drawn over the character before: accents, the joiners and selectors of emoji."""


def terminal_width() -> int:
    """Return the columns of the terminal, as it or `COLUMNS` says."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and (columns := os.get_terminal_size(stream.fileno()).columns) > 0:
                return columns
        except (OSError, ValueError):
            continue
    return _IN_A_PIPE


def columns(text: str) -> int:
    """Return how many columns `text` takes.

    >>> columns("kvd"), columns("鍵")
    (3, 2)
    """
    return len(text) if text.isascii() else sum(map(_of_character, text))


def cut(text: str, width: int) -> str:
    """Return `text` in at most `width` columns; what was longer ends with an ellipsis.

    >>> cut("the whole text", 9)
    'the whol…'
    """
    if columns(text) <= width:
        return text
    left, kept = width - 1, []
    for character in text:
        left -= _of_character(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + "…"


def padded(text: str, width: int) -> str:
    """Return `text` in exactly `width` columns, filled up with spaces.

    >>> padded("ab", 4)
    'ab  '
    """
    short = cut(text, width)
    return short + " " * (width - columns(short))


def _of_character(character: str) -> int:
    if unicodedata.category(character) in _WITHOUT_WIDTH or "\u1160" <= character <= "\u11ff":  # Jamo that are joined
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
