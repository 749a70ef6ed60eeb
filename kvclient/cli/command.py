"""What all commands have in common: the options that say which daemon is meant, and arguments that many take."""

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from kvclient.cli.advice import suggest
from kvclient.cli.options import Options
from kvclient.client.blocking import DEFAULT_TIMEOUT
from kvclient.contract.errors import KeyNotFoundError
from kvclient.screen.usage import UsageError


def finite(value: float) -> float:
    """Return a number of seconds, or refuse one that is none."""
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a number of seconds")
    return value


def _named(name: str | None) -> str | None:
    """Return a name, or refuse an empty one: `--store "$NAME"` without NAME must not mean another store."""
    if name == "":
        raise typer.BadParameter("it is empty.")
    return name


NEGATIVE_NUMBERS = {"ignore_unknown_options": True}
"""Context settings of a command with an argument that may be a negative number, which must not be taken for an option.
Other words that begin with a dash are refused by `Command`.
"""

_MOST = 2**63 - 1
"""What the wire takes as a whole number."""

Key = Annotated[str, typer.Argument(metavar="KEY", help="The key.")]
Keys = Annotated[list[str], typer.Argument(metavar="KEY", help="The keys.", show_default=False)]
Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="Only keys that begin with this; default: all keys.")]
Ttl = Annotated[float | None, typer.Option(metavar="SECONDS", help="Expire after this many seconds.")]
IfRevision = Annotated[
    int | None,
    typer.Option(
        metavar="REVISION", min=0, max=_MOST, help="Only if the key is at this revision; 0: if it does not exist."
    ),
]
EphemeralFor = Annotated[
    int | None,
    typer.Option(metavar="PID", min=1, max=_MOST, help="Delete the key as soon as this process of yours ends."),
]
KeepTtl = Annotated[bool, typer.Option("--keep-ttl", help="Keep the time at which it expires.")]
Text = Annotated[str | None, typer.Option("--string", metavar="TEXT", help="Store this text instead of VALUE.")]


def check_ttl_options(ttl: float | None, *, keep_ttl: bool) -> None:
    """Raise `UsageError` for --ttl and --keep-ttl together."""
    if ttl is not None and keep_ttl:
        raise UsageError("Give either --ttl or --keep-ttl, not both.")


_COMMON = {
    "store": (
        Annotated[
            str | None,
            typer.Option(metavar="NAME", help="The store's name.", show_default="data_store", callback=_named),
        ],
        None,
    ),
    "endpoint": (
        Annotated[
            str | None,
            typer.Option(
                metavar="URL", help="The daemon's endpoint, such as ipc:///run/user/1000/kvd/x.sock.", callback=_named
            ),
        ],
        None,
    ),
    "timeout": (
        Annotated[
            float, typer.Option(metavar="SECONDS", min=0.001, callback=finite, help="Seconds to wait for an answer.")
        ],
        DEFAULT_TIMEOUT,
    ),
    "json": (
        Annotated[bool, typer.Option("--json", help="Print results and errors as JSON.")],
        False,
    ),
}


def command(run: Callable[..., int | None]) -> Callable[..., None]:
    """Return `run` as Typer takes it: with --store, --endpoint, --timeout and --json in the place of `options`, unless
    it describes some of them itself; what it returns, if anything, is the exit code.
    """
    own = inspect.signature(run, eval_str=True)
    parameters = {name: each for name, each in own.parameters.items() if name != "options"}
    for name, (annotation, default) in _COMMON.items():
        parameters.setdefault(
            name, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )

    @wraps(run)
    def wrapped(**given: Any) -> None:
        options = Options(*(given[name] for name in _COMMON))
        try:
            code = run(options, **{name: given[name] for name in own.parameters if name != "options"})
        except KeyNotFoundError as error:
            suggest(error, options)
            raise
        if code:
            raise typer.Exit(code)

    ordered = sorted(parameters.values(), key=lambda each: each.kind)
    wrapped.__signature__ = own.replace(parameters=ordered, return_annotation=None)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {each.name: each.annotation for each in ordered}
    return wrapped
