"""Where `kvctl export` writes: standard output, or a file that is there whole or not at all, and for its owner only."""

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kvclient.cli.printing import show_line
from kvclient.contract.errors import DataStoreError
from kvclient.screen.text import text_for

_BUFFER_BYTES = 1 << 20


@contextmanager
def destination(file: str | None) -> Iterator[Callable[[str], None]]:
    """Yield what writes a line: to standard output for None or `-`, else to a file.

    The file has mode 0600. It is written beside its place and renamed when all of it is on the disk; if anything is
    raised within, what was at the place stays. Raises `DataStoreError` if it cannot be written.
    """
    if file is None or file == "-":
        yield lambda line: show_line(text_for(sys.stdout, line))
        return
    path = os.path.realpath(file)
    try:
        if os.path.lexists(path) and not stat.S_ISREG(os.stat(path).st_mode):  # /dev/stdout, a named pipe
            with open(path, "w", encoding="utf-8") as output:
                yield lambda line: print(line, file=output)
            return
        descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path))
        try:
            with open(descriptor, "w", encoding="utf-8", buffering=_BUFFER_BYTES) as output:
                yield lambda line: print(line, file=output)
                output.flush()
                os.fsync(descriptor)
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except DataStoreError:  # some are an OSError as well
        raise
    except OSError as error:
        raise DataStoreError(f"{file} cannot be written: {error.strerror}.") from None
