"""What `kvctl read` does. Apart from its command, so that `kvctl read KEY` needs no Typer."""

from collections.abc import Sequence

from kvclient.cli.advice import suggest
from kvclient.cli.options import Options
from kvclient.cli.output import exit_code, report, show
from kvclient.cli.printing import entry_fields, show_value
from kvclient.client.blocking import Client
from kvclient.contract.errors import DaemonUnavailableError, DataStoreError, KeyNotFoundError, RequestTimeoutError


def run(options: Options, keys: Sequence[str], *, raw: bool = False, entry: bool = False) -> int:
    """Print the value, or all that is known, of each key that exists; return the exit code of the first that fails."""
    client = options.client()
    status = 0
    for key in keys:
        try:
            _print(client, key, raw=raw, entry=entry or options.json)
        except (DaemonUnavailableError, RequestTimeoutError):
            raise
        except DataStoreError as error:
            if isinstance(error, KeyNotFoundError):
                suggest(error, options)
            status = status or exit_code(error)
            report(error)
    return status


def _print(client: Client, key: str, *, raw: bool, entry: bool) -> None:
    if entry:
        show(entry_fields(client.entry(key)))
    else:
        show_value(client.read(key), raw=raw)
