"""kvd backup"""

import json
from pathlib import Path

from kvclient.screen.quantities import bytes_text, counted
from kvd.backend.file.engine.backup import backup


def run(path: Path, target: Path, *, as_json: bool) -> None:
    """Copy a data file, and tell what is in the copy."""
    copied = backup(path, target)
    if as_json:
        print(json.dumps({**copied._asdict(), "path": str(copied.path), "file": str(path)}))
    else:
        print(f"{copied.path}: {counted(copied.keys, 'key')} at revision {copied.revision}, {bytes_text(copied.bytes)}")
