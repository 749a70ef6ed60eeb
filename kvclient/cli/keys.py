"""kvctl keys: the CURVE keys with which clients and daemons know each other over a network."""

import shlex
import sys
from typing import Annotated

import typer

from kvclient.cli.printing import compact_json, show_line
from kvclient.contract import keys
from kvclient.screen.colour import painted
from kvclient.screen.help import Command, Group
from kvclient.screen.width import padded

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make and allow the keys for connections over a network (docs/network.md).",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_', '-' and '@'.")]


@app.command("new", cls=Command)
def _new(name: Name) -> None:
    """Make a key for a client on this machine, and print its public half. The secret stays in a file.

    Example: kvctl keys new laptop
    """
    public = keys.new(name).public.decode()
    print(public)
    given = shlex.join(["kvctl", "keys", "allow", *(["--"] if public.startswith("-") else []), name, public])
    print(f"wrote {keys.secret_path(name)}. Where the daemon runs: {given}", file=sys.stderr)


@app.command("list", cls=Command)
def _list(json: Annotated[bool, typer.Option("--json", help="Print JSON, a line each.")] = False) -> None:
    """List this user's own keys, and those whose owners may connect to this user's daemons: public halves only.

    Example: kvctl keys list
    """
    rows = [(name, "own", keys.own(name).public.decode()) for name in keys.names()]
    rows += [(name, "allowed", public.decode()) for public, name in keys.allowed().items()]
    if json:
        for name, kind, public in rows:
            show_line(compact_json({"name": name, "kind": kind, "public_key": public}))
    elif sys.stdout is not None and sys.stdout.isatty():
        if not rows:
            print("There are no keys yet: kvctl keys new NAME", file=sys.stderr)
        width = max((len(name) for name, _, _ in rows), default=0)
        for name, kind, public in rows:
            show_line(f"{painted(sys.stdout, padded(name, width), 'cyan')}  {kind:<7}  {public}", painted=True)
    else:
        for row in rows:
            show_line("\t".join(row))


@app.command("server", cls=Command)
def _server() -> None:
    """Print the public key of this user's daemons: the server_key of their clients.

    Example: kvctl keys server
    """
    print(keys.server().public.decode())


@app.command("allow", cls=Command)
def _allow(
    name: Name, key: Annotated[str, typer.Argument(metavar="KEY", help="The public key, as 'keys new' printed it.")]
) -> None:
    """Let the owner of a key connect to this user's daemons, at once. What for is said by [[access]] (docs/rights.md).

    Example: kvctl keys allow laptop 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'
    """
    keys.allow(name, keys.public_key(key))


@app.command("revoke", cls=Command)
def _revoke(name: Name) -> None:
    """Let the owner of a key connect no more, and end the connections that there are within a second.

    Example: kvctl keys revoke laptop
    """
    keys.revoke(name)
