"""kvd restore"""

import json
from pathlib import Path

from kvclient.screen.quantities import counted
from kvd.backend.file.engine.restore import Restoration


def run(backup: Path, path: Path, max_file_bytes: int, seconds: float, *, as_json: bool) -> None:
    """Put a backup in place, and tell what became of it.

    With JSON, a first line says when all is prepared and only the daemon has to leave.
    """
    with Restoration(backup, path, max_file_bytes) as prepared:
        if as_json:
            print(json.dumps({"ready": True, "keys": prepared.keys}), flush=True)
        restored = prepared.finish(seconds)
    kept = None if restored.kept is None else str(restored.kept)
    if as_json:
        print(json.dumps({**restored._asdict(), "path": str(restored.path), "kept": kept}))
        return
    print(f"{restored.path}: {counted(restored.keys, 'key')} restored, at revision {restored.revision}")
    if kept is not None:
        print(f"What was there before is {kept}")
