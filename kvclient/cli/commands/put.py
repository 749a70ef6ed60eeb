"""kvctl put"""

from kvclient.cli.command import EphemeralFor, IfRevision, KeepTtl, Key, Text, Ttl, check_ttl_options
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.cli.value_argument import Value, given_value


def run(
    options: Options,
    key: Key,
    value: Value = None,
    string: Text = None,
    ttl: Ttl = None,
    keep_ttl: KeepTtl = False,
    if_revision: IfRevision = None,
    ephemeral_for: EphemeralFor = None,
) -> None:
    """Create a key or replace its value. Without --ttl or --keep-ttl it never expires.

    Example: kvctl put key1 '{"name": "value1"}' --ttl 5
    """
    check_ttl_options(ttl, keep_ttl=keep_ttl)
    revision = options.client().put(
        key,
        given_value(value, string),
        ttl,
        keep_ttl=keep_ttl,
        if_revision=if_revision,
        ephemeral=ephemeral_for or False,
    )
    if options.json:
        show({"revision": revision})
