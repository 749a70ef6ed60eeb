"""kvctl create"""

from kvclient.cli.command import EphemeralFor, Key, Text, Ttl
from kvclient.cli.options import Options
from kvclient.cli.output import show
from kvclient.cli.value_argument import Value, given_value


def run(
    options: Options,
    key: Key,
    value: Value = None,
    string: Text = None,
    ttl: Ttl = None,
    ephemeral_for: EphemeralFor = None,
) -> None:
    """Create a key that does not exist yet.

    Example: kvctl create key1 '{"name": "value1"}' --ttl 5
    """
    given = given_value(value, string)
    revision = options.client().create(key, given, ttl, ephemeral=ephemeral_for or False)
    if options.json:
        show({"revision": revision})
