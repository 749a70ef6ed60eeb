"""kvd check"""

import json
import sys
from pathlib import Path

from kvclient.contract.errors import StoreCorruptError
from kvclient.screen.quantities import counted
from kvd.backend.file.engine.check import Report, check

SOUND, DAMAGED, UNKNOWN = 0, 1, 2


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
        if report.edited:
            print("It is valid JSON, and nothing of it is lost: the next start, or 'kvd repair', takes all of it over.")
        elif not report.sound:
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
        f"{report.path}: {_state(report)}; {report.size} bytes, "
        f"{counted(report.commits, 'commit')}, {counted(len(report.keys), 'key')}, revision {report.revision}"
    )
    if report.open_in is not None:
        print(f"Process {report.open_in} has it open; this is what was in it when it was read.")
    for gap in report.gaps:
        print(f"  {gap}")
    if report.edited:
        print(f"Changed from outside: {report.changed()}")
    for place in report.suspicious:
        print(f"  suspicious: {place}")


def _state(report: Report) -> str:
    if report.sound:
        return "sound"
    return "changed from outside" if report.edited else "damaged"
