"""A daemon on a disk that takes a second for each 4 MiB when the data file is opened."""

import time

from kvd.__main__ import main
from kvd.backend.file.engine import load

commits = load.commits


def slowly(fd, start, size, *more):
    slept = start
    for commit in commits(fd, start, size, *more):
        if commit.stop - slept >= 4 << 20:
            slept = commit.stop
            time.sleep(1)
        yield commit


load.commits = slowly
main()
