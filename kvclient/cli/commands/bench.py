"""kvctl bench"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Annotated, Any, Literal

import typer

from kvclient.bench import OPERATIONS
from kvclient.bench.latencies import Latencies
from kvclient.cli.command import finite
from kvclient.cli.moving.progress import bar_column
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.client.blocking import Client
from kvclient.contract.errors import DataStoreError
from kvclient.screen.quantities import bytes_text, counted

Sync = Literal["always", "interval", "never"]
DEFAULT_MIX = "create=1,read=1"
_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}
_TTL_SECONDS = 60.0
_POLL_SECONDS = 0.1


def parse_mix(text: str) -> dict[str, int]:
    """Return a mix such as "create=1,read=4". Raises `ValueError`."""
    mix: dict[str, int] = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        name = name.strip()
        if name not in OPERATIONS or name in mix or not weight.strip().isdecimal():
            raise ValueError(
                f"{part.strip()!r} is not one of {', '.join(OPERATIONS)} with a whole number, as in read=4"
            )
        mix[name] = int(weight)
    if not any(mix.values()):
        raise ValueError("something must be above 0")
    return mix


def run(
    options: Options,
    clients: Annotated[int, typer.Option(min=1, max=500, metavar="N", help="Client processes, at most 500.")] = 4,
    value_size: Annotated[int, typer.Option(min=2, metavar="BYTES", help="Size of each value, as JSON.")] = 64,
    mix: Annotated[str, typer.Option(metavar="MIX", help="Relative shares of create, read and delete.")] = DEFAULT_MIX,
    duration: Annotated[
        float, typer.Option(min=0.1, callback=finite, metavar="SECONDS", help="How long to measure.")
    ] = 5.0,
    sync: Annotated[
        Sync | None,
        typer.Option(
            metavar="MODE", help="The scratch daemon's --sync: always, interval or never.", show_default="always"
        ),
    ] = None,
    *,
    store: Annotated[
        str | None, typer.Option(metavar="NAME", help="Measure this store's daemon instead of a scratch one.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Measure this daemon instead of a scratch one.")
    ] = None,
) -> None:
    """Measure throughput and latency on a scratch daemon with its own file.

    With --store or --endpoint, keys named bench-... are created in that store. Each expires after --duration and one
    more minute.

    Example: kvctl bench --clients 4 --duration 2 --mix create=1,read=9
    """
    if sync is not None and (store is not None or endpoint is not None):
        raise typer.BadParameter("the daemon that --store or --endpoint names has its own", param_hint="'--sync'")
    try:
        weights = parse_mix(mix)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--mix'") from None
    if sys.stdout is None:
        raise DataStoreError("The output cannot be written: standard output is closed.")
    _measure(options, clients, value_size, weights, duration, sync or "always")


def _measure(options: Options, clients: int, value_bytes: int, mix: dict[str, int], seconds: float, sync: Sync) -> None:
    """Measure, and print throughput and latencies. The daemon is a scratch one unless the options name one."""
    from kvclient.bench.load import Clients, Load
    from kvclient.bench.scratch import scratch_daemon

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _end)
    own = options.store is None and options.endpoint is None
    with ExitStack() as stack:
        endpoint = stack.enter_context(scratch_daemon(sync)) if own else options.client().endpoint
        store = Client(endpoint, timeout=options.timeout) if own else options.client()
        status = store.status()
        store.close()
        # In a store that somebody uses, the keys go away by themselves.
        load = Load(clients, value_bytes, mix, seconds, ttl=None if own else seconds + _TTL_SECONDS)
        working = Clients(endpoint, load, options.timeout)
        stack.callback(working.end)
        working.start()
        with _progress(seconds) as update:
            while not working.done(_POLL_SECONDS):
                update(working.operations)
        times, taken = working.results()
    if len(times) > 1:
        times["all"] = Latencies.merged(times.values())
    measured = {
        "clients": clients,
        "value_bytes": value_bytes,
        "mix": mix,
        "seconds": taken,
        "scratch": own,
        **{name: status[name] for name in ("file", "sync", "version", "python")},
    }
    if options.json:
        show({**measured, "results": {name: _numbers(latencies, taken) for name, latencies in times.items()}})
    else:
        _report(measured, times, taken)


def _end(number: int, _: FrameType | None) -> None:
    """Exit as the signal asks for, and on the way end what was started and remove its files."""
    for again in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(again, signal.SIG_IGN)  # a closing terminal sends more than one
    sys.exit(128 + number)


@contextmanager
def _progress(seconds: float) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal while the benchmark runs; yield what is called with the operations done so far."""
    from time import perf_counter

    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = bar_column(), TextColumn("{task.description}"), TimeRemainingColumn(compact=True)
    with Progress(*columns, console=console, transient=True, expand=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=seconds)
        started = perf_counter()

        def update(operations: int) -> None:
            elapsed = perf_counter() - started
            progress.update(task, completed=min(elapsed, seconds), description=f"{operations / elapsed:,.0f} ops/s")

        yield update


def _report(measured: dict[str, Any], times: dict[str, Latencies], taken: float) -> None:
    """Print what was measured and the results for a person, in 10 columns and 10 more a kind of operation."""
    print(f"{counted(measured['clients'], 'client')}, values of {bytes_text(measured['value_bytes'])}, {taken:.1f} s")
    print(f"{'a scratch file' if measured['scratch'] else measured['file']} with sync={measured['sync']}\n")
    _print_row("", list(times))
    _print_row("operations", [f"{latencies.count:,}" for latencies in times.values()])
    _print_row("per second", [f"{latencies.count / taken:,.0f}" for latencies in times.values()])
    for name, percent in _PERCENTILES.items():
        _print_row(f"{name} ms", [_milliseconds(latencies.percentile(percent)) for latencies in times.values()])
    _print_row("max ms", [_milliseconds(latencies.most) for latencies in times.values()])


def _numbers(latencies: Latencies, taken: float) -> dict[str, float]:
    """Return what a machine is told of an operation: times in seconds."""
    percentiles = {name: latencies.percentile(percent) / 1e9 for name, percent in _PERCENTILES.items()}
    return {
        "operations": latencies.count,
        "per_second": latencies.count / taken,
        **percentiles,
        "max": latencies.most / 1e9,
    }


def _print_row(name: str, cells: list[str]) -> None:
    print(f"{name:<10}{''.join(f'{cell:>10}' for cell in cells)}")


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.3f}"
