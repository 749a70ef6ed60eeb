"""Log lines on standard error: with a time for a person, with a priority for the journal, which has the time."""

import faulthandler
import logging
import os
import sys
from types import TracebackType

from kvclient.screen import console

log = logging.getLogger(__name__)

# As in sd-daemon(3).
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _JournalFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def start(*, verbose: bool) -> None:
    """Send log lines to standard error; with `verbose`, each refused request too."""
    handler = logging.StreamHandler()
    if _is_journal():
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    sys.excepthook = _log_crash
    faulthandler.enable()  # says where it was, also when systemd's watchdog aborts it


def complain(message: str) -> None:
    """Print the one line that tells why the command failed."""
    prefix = f"<{_PRIORITIES[logging.ERROR]}>" if _is_journal() else ""
    console.complain(f"{prefix}kvd: {' '.join(message.split())}")


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("kvd ends by an error that it did not expect", exc_info=(kind, error, trace))


def _is_journal() -> bool:
    """Tell whether standard error is the stream that systemd connected to the journal (systemd.exec(5))."""
    found = os.fstat(sys.stderr.fileno())
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
