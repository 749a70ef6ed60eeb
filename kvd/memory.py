"""Memory that is free is the system's again."""

import ctypes
import logging

log = logging.getLogger(__name__)


def give_back() -> None:
    """Have the C library give free memory back: after large requests glibc keeps it, hundreds of MiB, for the next.

    Takes some milliseconds, by how much there is. Does nothing where the C library is not glibc.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError) as error:
        log.debug("this C library gives no memory back: %s", error)
