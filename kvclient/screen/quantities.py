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


def counted(count: int, noun: str, several: str | None = None) -> str:
    """Return a number of things.

    >>> counted(1, "key"), counted(2000, "key"), counted(0, "watch", "watches")
    ('1 key', '2,000 keys', '0 watches')
    """
    return f"{count} {noun}" if count == 1 else f"{count:,} {several or f'{noun}s'}"


def short_duration(seconds: float) -> str:
    """Return a duration of less than some seconds.

    >>> short_duration(0.00002), short_duration(0.0005), short_duration(0.1), short_duration(2.0)
    ('20 µs', '0.5 ms', '100 ms', '2 s')
    """
    if seconds < 0.0002:
        return f"{seconds * 1e6:.3g} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def duration(seconds: float) -> str:
    """Return a number of seconds in units that make it short.

    >>> duration(3700)
    '1 h 1 min'
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if days < 1 else f"{days} d {hours % 24} h"


def remaining(seconds: float) -> str:
    """Return a time that is left, in its two largest units.

    >>> remaining(252.3), remaining(90000)
    ('4m 12s', '1d 1h')
    """
    left = max(0, int(seconds))
    for unit, size, below, smaller in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if left >= size:
            return f"{left // size}{unit} {left % size // smaller}{below}"
    return f"{left}s"
