"""kvctl delete"""

from collections.abc import Sequence

from kvclient.cli.options import Options
from kvclient.cli.output import exit_code, report, show
from kvclient.contract.errors import DaemonUnavailableError, DataStoreError, RequestTimeoutError


def run(options: Options, keys: Sequence[str]) -> int:
    """Delete each of `keys` that exists; return the exit code of the first that does not."""
    client = options.client()
    status, deleted, revision = 0, [], 0
    for key in keys:
        try:
            revision = client.delete(key)
        except (DaemonUnavailableError, RequestTimeoutError):
            raise
        except DataStoreError as error:
            report(error)
            status = status or exit_code(error)
        else:
            deleted.append(key)
    if options.json:
        show({"deleted": deleted, "revision": revision})
    return status
