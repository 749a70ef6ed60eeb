"""kvd check"""

import json
import sys
from pathlib import Path

from kvclient.contract.errors import StoreCorruptError
from kvclient.screen.quantities import counted
from kvd.backend.file.engine.check import Report, check

SOUND, DAMAGED, UNKNOWN = 0, 1, 2
_SHOWN = 20


def run(path: Path, *, as_json: bool) -> int:
    """Examine a file, tell what was found, and return the exit code."""
    try:
        report = check(path)
    except (StoreCorruptError, OSError) as error:
        return refuse(path, error, as_json=as_json)
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        describe(report)
        if not report.sound:
            print(f"'kvd repair {path}' mends it and keeps the original.")
    return SOUND if report.sound else DAMAGED


def refuse(path: Path, error: Exception, *, as_json: bool) -> int:
    """Report a file that cannot be examined."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    message = reason if str(path) in reason else f"{path}: {reason}"
    if as_json:
        print(json.dumps({"file": str(path), "kind": None, "sound": False, "message": message}))
    else:
        print(f"kvd: {message}", file=sys.stderr)
    return UNKNOWN


def describe(report: Report) -> None:
    """Print a report for a person."""
    if report.plain_keys is not None:
        print(
            f"{report.path}: a plain JSON file of {counted(report.plain_keys, 'key')}. "
            "It is converted, and the original kept, when kvd opens it."
        )
        return
    print(
        f"{report.path}: {'sound' if report.sound else 'damaged'}; {report.size} bytes, "
        f"{counted(report.commits, 'commit')}, {counted(len(report.keys), 'key')}, revision {report.revision}"
    )
    if report.open_in is not None:
        print(f"Process {report.open_in} has it open; this is what was in it when it was read.")
    for gap in report.gaps:
        print(f"  {gap}")
    for place in report.suspicious:
        print(f"  suspicious: {place}")


def some(keys: list[str]) -> str:
    """Return the first of many keys, for a person."""
    shown = ", ".join(map(repr, keys[:_SHOWN]))
    return shown if len(keys) <= _SHOWN else f"{shown} … and {len(keys) - _SHOWN} more (--json lists all)"
