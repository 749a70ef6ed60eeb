"""kvd repair"""

import json
from pathlib import Path

from kvclient.contract.errors import StoreCorruptError
from kvclient.screen.quantities import counted
from kvd.backend.file.engine.check import some
from kvd.backend.file.engine.repair import Repaired, repair
from kvd.commands.check import SOUND, describe, refuse


def run(path: Path, *, as_json: bool) -> int:
    """Mend a file, tell what was lost, and return the exit code."""
    try:
        repaired = repair(path)
    except (StoreCorruptError, OSError) as error:
        return refuse(path, error, as_json=as_json)
    if as_json:
        print(json.dumps(_as_json(repaired)))
    else:
        _describe(repaired)
    return SOUND


def _as_json(repaired: Repaired) -> dict[str, object]:
    report, kept = repaired
    return {
        **report.as_json(),
        "repaired": kept is not None,
        "original": str(kept) if kept is not None else None,
        "doubtful_keys": report.doubtful(),
    }


def _describe(repaired: Repaired) -> None:
    report, kept = repaired
    describe(report)
    if kept is None:
        print("Nothing to repair.")
        return
    print(
        f"{'Taken over' if report.edited else 'Repaired'}: {counted(len(report.keys), 'key')}. The original is {kept}"
    )
    if report.edited:
        return
    named = [key for gap in report.gaps for key in gap.damage.keys]
    if lost := [key for key in dict.fromkeys(named) if key not in report.keys]:
        print(f"Named in the damage, and not saved: {some(lost)}")
    if doubtful := report.doubtful():
        sure = [key for key in dict.fromkeys(named) if key in set(doubtful)]
        if sure:
            print(f"Named in the damage, and saved with an older value: {some(sure)}")
        print(
            "Saved as they were before a lost commit, which may have changed or deleted them "
            f"({counted(len(doubtful), 'key')}): {some(doubtful)}"
        )
