"""Keys that other frameworks allow, as keys that kvd takes."""

import re
from hashlib import sha256

MOST_CHARACTERS = 256
"""The daemon's default of `max_key_length`. A daemon with a lower one refuses longer keys with `KeyTooLongError`."""
_DIGEST_CHARACTERS = 65
MOST_KEPT = MOST_CHARACTERS - _DIGEST_CHARACTERS
"""So many characters in front are kept of every key, if they are valid: room for a prefix."""

_invalid = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ends_in_digest = re.compile(r"#[0-9a-f]{64}\Z")


def fitted(key: str, most: int = MOST_CHARACTERS) -> str:
    r"""Return `key` if it is valid and has at most `most` characters, else a name of its own that is.

    That name is the key's beginning, with `�` for each invalid character, and a digest. A key that looks like such a
    name gets another one: no two keys share a name, also if somebody tries.

    >>> fitted("views.home")
    'views.home'
    >>> fitted("tab\there")
    'tab�here#5b8765931ded06ac39c11c47f83f7457636af4780d72900c1a0131f4ccb96c85'
    """
    if len(key) <= most and not _invalid.search(key) and not _ends_in_digest.search(key):
        return key
    digest = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_invalid.sub('�', key[: most - _DIGEST_CHARACTERS])}#{digest}"


def is_digest(name: str) -> bool:
    """Tell whether `fitted` made this name, so that the key that it stands for is not to be seen from it."""
    return _ends_in_digest.search(name) is not None


def is_prefix(text: str, most: int = MOST_KEPT) -> bool:
    """Tell whether all keys that begin with `text` keep that beginning in `fitted`."""
    return len(text) <= most and not _invalid.search(text)
