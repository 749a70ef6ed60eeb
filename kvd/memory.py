"""Memory that is free is the system's again, as far as the C library is glibc; others do it by themselves."""

import ctypes
import logging

log = logging.getLogger(__name__)

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 1 << 20
_KEPT_BYTES = 64 << 20


def keep_little() -> None:
    """Have what is large, a request of some MiB, say, go back to the system as soon as it is freed.

    By itself glibc takes the first such object as a sign that more will follow, keeps its memory for them, and puts
    the next one into what is left between others. Four peers with 16 MiB each took 300 MiB so, and take 210.
    """
    _tell(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    _tell(_M_TRIM_THRESHOLD, _KEPT_BYTES)  # which is otherwise set low by that


def _tell(what: int, number: int) -> None:
    try:
        ctypes.CDLL(None).mallopt(what, number)
    except (OSError, AttributeError) as error:
        log.debug("this C library manages memory in its own way: %s", error)


def give_back() -> None:
    """Give free memory back: after large requests glibc keeps it, tens of MiB, for the next.

    Takes some milliseconds, by how much there is.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError) as error:
        log.debug("this C library gives no memory back: %s", error)
