"""A daemon whose loop, and nothing else in it, hangs once when ~/Documents/hang appears."""

import time
from pathlib import Path

from kvd.__main__ import main
from kvd.backend.file.backend import FileBackend

work = FileBackend.work


def hang(backend, **arguments):
    sign = Path.home() / "Documents/hang"
    if sign.exists():
        sign.unlink()
        while True:
            time.sleep(0.1)
    return work(backend, **arguments)


FileBackend.work = hang
main()
