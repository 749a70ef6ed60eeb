"""The commands of `kvctl`, their arguments, options and help."""

import math
import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from kvclient.cli import batch_create, bench, compact, create, delete, ping, read, status, stop
from kvclient.cli.options import Options
from kvclient.cli.service.app import app as service
from kvclient.client.blocking import DEFAULT_TIMEOUT

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Create, read and delete keys in a kvd store. Keys hold any JSON value and can expire.",
    epilog="Exit codes: 0 done, 1 other error, 2 usage or invalid input, 3 key not found, 4 key exists, "
    "5 a limit, 6 no daemon or no answer.",
)
app.add_typer(service, name="service")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a number of seconds")
    return value


Store = Annotated[str | None, typer.Option(help="The store's name.", show_default="data_store")]
Endpoint = Annotated[str | None, typer.Option(help="The daemon's endpoint, such as ipc:///run/user/1000/kvd/x.sock.")]
Timeout = Annotated[float, typer.Option(min=0.001, callback=_finite, help="Seconds to wait for an answer.")]
Json = Annotated[bool, typer.Option("--json", help="Print results and errors as JSON.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key.")]
Ttl = Annotated[float | None, typer.Option(metavar="SECONDS", help="Expire after so many seconds.")]


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        print(f"kvctl {installed_version('kvd-store')}")
        raise typer.Exit


def _no_option(key: str) -> str:
    if key.startswith("-") and key != "-" and "--" not in sys.argv:
        raise typer.BadParameter(
            f"There is no option {key}. A key that begins with - goes behind --, after all options."
        )
    return key


# A negative number as VALUE must not be taken for an option. What may be a mistyped one is looked for in KEY instead.
@app.command("create", context_settings={"ignore_unknown_options": True})
def _create(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key.", callback=_no_option)],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Any JSON value; - reads it from standard input.")],
    ttl: Ttl = None,
    store: Store = None,
    endpoint: Endpoint = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    json: Json = False,
) -> None:
    """Create a key that does not exist.

    Example: kvctl create key1 '{"name": "value1"}' --ttl 5
    """
    create.run(Options(store, endpoint, timeout, json), key, value, ttl)


@app.command("read")
def _read(
    key: Key,
    store: Store = None,
    endpoint: Endpoint = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    json: Json = False,
) -> None:
    """Print a key's value as JSON.

    Example: kvctl read key1
    """
    read.run(Options(store, endpoint, timeout, json), key)


@app.command("delete")
def _delete(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="The keys.", show_default=False)],
    store: Store = None,
    endpoint: Endpoint = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    json: Json = False,
) -> None:
    """Delete keys. Those that do not exist are reported; the others are deleted all the same.

    Example: kvctl delete key1 key2
    """
    raise typer.Exit(delete.run(Options(store, endpoint, timeout, json), keys))


@app.command("batch-create")
def _batch_create(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A file with one JSON object, key → value; - is standard input.")
    ],
    ttl: Ttl = None,
    store: Store = None,
    endpoint: Endpoint = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    json: Json = False,
) -> None:
    """Create several keys at once: all of them, or none if one exists or is invalid.

    Example: echo '{"key2": 1, "key3": [2]}' | kvctl batch-create - --ttl 10
    """
    batch_create.run(Options(store, endpoint, timeout, json), file, ttl)


@app.command("ping")
def _ping(
    store: Store = None, endpoint: Endpoint = None, timeout: Timeout = DEFAULT_TIMEOUT, json: Json = False
) -> None:
    """Tell whether a daemon answers, and on standard error if it refuses all writes. Starts none.

    Example: kvctl ping && echo running
    """
    ping.run(Options(store, endpoint, timeout, json))


@app.command("status")
def _status(
    store: Store = None, endpoint: Endpoint = None, timeout: Timeout = DEFAULT_TIMEOUT, json: Json = False
) -> None:
    """Show the daemon's pid, file, size, keys, limits and versions, and settings that need a restart. Starts none.

    Exit code 1 if all writes are refused, because another program changed the data file.

    Example: kvctl status --json | jq .keys
    """
    raise typer.Exit(status.run(Options(store, endpoint, timeout, json)))


@app.command("compact")
def _compact(
    store: Store = None, endpoint: Endpoint = None, timeout: Timeout = DEFAULT_TIMEOUT, json: Json = False
) -> None:
    """Free the space of deleted and expired keys now. Happens by itself when it is worth it.

    Example: kvctl compact
    """
    compact.run(Options(store, endpoint, timeout, json))


@app.command("stop")
def _stop(
    store: Store = None, endpoint: Endpoint = None, timeout: Timeout = DEFAULT_TIMEOUT, json: Json = False
) -> None:
    """Stop the daemon, after it has answered what it received. The next kvctl create or read starts one again.

    Example: kvctl stop
    """
    stop.run(Options(store, endpoint, timeout, json))


@app.command("bench")
def _bench(
    clients: Annotated[int, typer.Option(min=1, max=500, help="Processes that ask at the same time.")] = 4,
    value_size: Annotated[int, typer.Option(min=2, metavar="BYTES", help="Of each value, as JSON.")] = 64,
    mix: Annotated[
        str, typer.Option(help="How often create, read and delete are done, relative to each other.")
    ] = bench.DEFAULT_MIX,
    duration: Annotated[
        float, typer.Option(min=0.1, callback=_finite, metavar="SECONDS", help="How long to measure.")
    ] = 5.0,
    sync: Annotated[
        bench.Sync | None, typer.Option(help="Of the scratch daemon; see kvd --help.", show_default="always")
    ] = None,
    store: Annotated[str | None, typer.Option(help="Measure this store's daemon instead of a scratch one.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Measure this daemon instead of a scratch one.")] = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    json: Json = False,
) -> None:
    """Measure throughput and latency, on a scratch daemon with a file of its own.

    With --store or --endpoint, keys named bench-... are created in that store; each expires a minute after the time
    that --duration gives.

    Example: kvctl bench --clients 16 --mix create=1,read=9
    """
    if sync is not None and (store is not None or endpoint is not None):
        raise typer.BadParameter("the daemon that --store or --endpoint names has its own", param_hint="'--sync'")
    try:
        weights = bench.parse_mix(mix)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--mix'") from None
    bench.run(Options(store, endpoint, timeout, json), clients, value_size, weights, duration, sync or "always")
