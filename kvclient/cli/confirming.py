"""A question that is answered with yes or no, before something is deleted or replaced."""

import sys

from kvclient.screen.text import text_for

_ANSWERS = {"y": True, "yes": True, "n": False, "no": False}


def can_ask() -> bool:
    """Return whether there is a person to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def confirmed(question: str, *, default: bool = False) -> bool:
    """Ask on standard error, and return the answer; an empty one is the default. The end of input is a no."""
    choice = "[Y/n]" if default else "[y/N]"
    while True:
        print(text_for(sys.stderr, f"{question} {choice}: "), end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            return False
        answer = line.strip().lower()
        if not answer:
            return default
        if answer in _ANSWERS:
            return _ANSWERS[answer]
