"""The editor that a person has chosen, opened on a text."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kvclient.contract.errors import DataStoreError, InvalidValueError

_DEFAULT = "vi"


class Draft:
    """A text in a file that nobody else may read, to be edited. Gone with `discard`."""

    def __init__(self, name: str, text: str) -> None:
        safe = "".join(character if character.isalnum() or character in "-_." else "_" for character in name)
        self._directory = Path(tempfile.mkdtemp(prefix="kvctl-"))
        self.path = self._directory / f"{safe[:60]}.json"
        self.path.touch(mode=0o600)
        self.path.write_text(text, encoding="utf-8")

    def edit(self) -> str:
        """Open the editor of `$VISUAL` or `$EDITOR`, and return the text when it has been left.

        Raises `DataStoreError` if the editor fails, `InvalidValueError` for a text that is not UTF-8.
        """
        command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or _DEFAULT
        try:
            with _deaf_to_ctrl_c():  # it is the editor's
                # By the shell, as git does: the variable may hold options and quotes.
                status = subprocess.run(["sh", "-c", f'{command} "$@"', command, self.path], check=False).returncode
            if status:
                raise DataStoreError(
                    f"The editor failed: {command} (exit code {status}). Set EDITOR to the one you use."
                )
            return self.path.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise InvalidValueError(f"The text is not UTF-8: byte {error.start}.") from None
        except OSError as error:
            raise DataStoreError(f"The editor failed: {command}: {error.strerror}.") from None

    def discard(self) -> None:
        """Remove the file."""
        shutil.rmtree(self._directory, ignore_errors=True)


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the editor would inherit
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
