"""A daemon whose loop, and nothing else in it, hangs once when ~/Documents/hang appears."""

import time
from pathlib import Path

from kvd.server.upkeep import Upkeep

from kvd.__main__ import main

step = Upkeep.step


def hang(upkeep, **arguments):
    sign = Path.home() / "Documents/hang"
    if sign.exists():
        sign.unlink()
        while True:
            time.sleep(0.1)
    step(upkeep, **arguments)


Upkeep.step = hang
main()
