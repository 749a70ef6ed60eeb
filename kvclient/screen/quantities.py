"""Numbers as people read them."""


def bytes_text(count: int) -> str:
    """Return a number of bytes in the unit that makes it short.

    >>> bytes_text(1536)
    '1.5 KiB'
    """
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def counted(count: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "key"), counted(2, "key")
    ('1 key', '2 keys')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
