"""What is told of a network: who has the port, and the secret keys to nobody."""

import json

import pytest

from kvclient import AccessDeniedError, Client
from kvclient.contract import keys
from processes import Daemon, kvctl


def test_a_port_in_use_is_refused(network, home):
    """With its address, and the daemon that has it is undisturbed."""
    beside = home / "beside"
    beside.mkdir()
    other = Daemon(beside, network=network.address)

    assert 1 == other.launch().wait(30)
    assert f"The endpoint {network.address} is in use" in other.log.read_text()
    assert "Traceback" not in other.log.read_text()
    assert b'{"ok":true}' == network.ask(b'{"op":"ping"}')


def test_the_secrets_are_shown_nowhere(network, client, home):
    """Not in the log, in `status`, in errors, nor by `kvctl keys`."""
    client(network).put("key1", 1)
    shown = [network.ask(b'{"op":"status"}').decode(), repr(keys.own("all"))]
    with pytest.raises(AccessDeniedError) as refused:
        client(network, "stranger").ping()
    shown.append(str(refused.value))
    keys.secret_path("none").chmod(0o644)
    with pytest.raises(Exception, match="chmod 600") as readable:
        Client(network.address, server_key=keys.server().public.decode(), key="none").ping()
    shown.append(str(readable.value))
    keys.secret_path("none").chmod(0o600)
    secrets = [keys.own(name).secret.decode() for name in ("all", "none", "stranger", "server")]
    for command in (["list"], ["list", "--json"], ["server"], ["new", "another"], ["new", "all"]):
        done = kvctl("keys", *command, directory=home)
        shown += [done.stdout, done.stderr]
    secrets.append(keys.own("another").secret.decode())
    shown.append(network.log.read_text())

    assert network.address == json.loads(shown[0])["status"]["network"]
    assert 40 == len(secrets[0])
    for secret in secrets:
        assert not [text for text in shown if secret in text]
