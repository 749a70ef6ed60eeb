"""kvctl delete"""

from kvclient.cli.advice import suggest
from kvclient.cli.command import IfRevision, Keys
from kvclient.cli.options import Options
from kvclient.cli.output import exit_code, report, show
from kvclient.contract.errors import DaemonUnavailableError, DataStoreError, KeyNotFoundError, RequestTimeoutError
from kvclient.screen.usage import UsageError


def run(options: Options, keys: Keys, if_revision: IfRevision = None) -> int:
    """Delete keys. Keys that do not exist are reported, and the others are still deleted.

    Example: kvctl delete key1 key2
    """
    if if_revision is not None and len(keys) > 1:
        raise UsageError("--if-revision takes a single key.")
    client = options.client()
    status, deleted, revision = 0, [], 0
    for key in keys:
        try:
            revision = client.delete(key, if_revision=if_revision)
        except (DaemonUnavailableError, RequestTimeoutError):
            raise
        except DataStoreError as error:
            if isinstance(error, KeyNotFoundError):
                suggest(error, options)
            report(error)
            status = status or exit_code(error)
        else:
            deleted.append(key)
    if options.json:
        show({"deleted": deleted, "revision": revision})
    return status
