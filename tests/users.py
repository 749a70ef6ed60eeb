"""Other users of the machine: what they are told, in processes of their own. Needs root."""

import json
import os
import sys

ATTACKER, VICTIM = 64_001, 64_002

LOAD = """
import importlib, os, pkgutil, sys

def load(package):
    # Now, as the interpreter and what it imports may lie where only root can read.
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not any(part in found.name for part in (".adapters", "__main__", "winconsole")):
            importlib.import_module(found.name)

load("typer")
"""
BECOME = f"""
{LOAD}
import grp, pwd, tomllib
load("kvd")
import kvd.__main__
uid = int(sys.argv[1])
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
sys.argv = ["kvd", *sys.argv[5:]]
kvd.__main__.main()
"""


def becoming(uid):
    """Return the words before those of a `kvd` that is to be another user's."""
    return (sys.executable, "-c", BECOME, str(uid))


def as_user(uid, function, groups=()):
    """Call a function as another user, in a process of its own; return what it returned as text, or its error."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.setgroups(groups)
            os.setgid(uid)
            os.setuid(uid)
            try:
                said = str(function())
            except Exception as error:  # noqa: BLE001  # whatever it is, the test looks at it
                said = f"{type(error).__name__}: {error}"
            os.write(writing, said.encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as result:
        return result.read()


def ask_as(uid, daemon, *requests, groups=()):
    """Send requests as another user with a bare REQ socket, and return the replies."""

    def ask():
        return json.dumps([daemon.ask(json.dumps(request).encode()).decode() for request in requests])

    return [json.loads(reply) for reply in json.loads(as_user(uid, ask, groups))]


BECOME_CLIENT = f"""
{LOAD}
import encodings.idna
load("kvclient")
uid, package = int(sys.argv[1]), sys.argv[2]
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
sys.argv = sys.argv[2:]
sys.modules[package].main()
"""


def client_of(uid, package):
    """Return the words before the options of a command of kvclient's that another user runs; `package` has `main`."""
    return [sys.executable, "-c", BECOME_CLIENT, str(uid), package]
