"""How far a command has come that takes its time, for somebody who watches: a bar, a rate and the time that is left."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import BarColumn

_UPDATE_SECONDS = 0.1


def bar_column() -> "BarColumn":
    """Return a bar as wide as there is room, in basic colours: rich's own are of 256, and hard to see on white."""
    from rich.progress import BarColumn

    return BarColumn(None, style="dim", complete_style="green", finished_style="green", pulse_style="green")


@contextmanager
def progress(total: int | None, noun: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error while something is done, if that is a terminal; else import and show nothing.

    Yields what is called with how much of `total` is done, and how many of the `noun` that is. Without a total there is
    a rate, and no time left.
    """
    if not sys.stderr.isatty():
        yield lambda _done, _count: None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = [
        bar_column(),
        *([] if total is None else [TaskProgressColumn()]),
        TextColumn("{task.description}"),
        *([] if total is None else [TimeRemainingColumn(compact=True), TextColumn("left")]),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as bar:
        task = bar.add_task("", total=total)
        started = told = monotonic()

        def update(done: int, count: int) -> None:
            nonlocal told
            now = monotonic()
            if now - told >= _UPDATE_SECONDS:
                told = now
                bar.update(task, completed=done, description=f"{count:,} {noun}, {count / (now - started):,.0f}/s")

        yield update
