"""A right that is given to a systemd unit: the kernel tells by its control group which one a peer belongs to."""

import json
import os
import subprocess
import sys

import pytest
from machine import PYTHON, hierarchies, why_not

from processes import wait_until

OTHER = 64_030
UNIT = f"kvd-test-{os.getpid()}.service"

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"needs {why_not()}")

ASK = """
import os, sys, zmq
for group in sys.argv[3:]:
    open(f"{group}/cgroup.procs", "w").write(str(os.getpid()))
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
asking = zmq.Context().socket(zmq.REQ)
asking.connect(sys.argv[2])
asking.send_json({"op": "put", "key": "backup:1", "value": 1})
print(asking.recv().decode())
"""

READ = """
import sys, zmq
asking = zmq.Context().socket(zmq.REQ)
asking.connect(sys.argv[1])
asking.send_json({"op": "read", "key": "key1"})
print(asking.recv().decode())
"""


@pytest.fixture
def ask_from():
    """Ask as another user from a control group, which is made for it."""
    made = []

    def ask(daemon, group):
        groups = [hierarchy / group for hierarchy in hierarchies()]
        for each in groups:
            for part in reversed([each, *each.parents]):
                if not part.exists():
                    part.mkdir()
                    made.append(part)
        command = [sys.executable, "-c", ASK, str(OTHER), daemon.endpoint, *map(str, groups)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return json.loads(done.stdout)

    yield ask
    for path in reversed(made):
        wait_until(lambda path=path: _removed(path))


def _removed(path):
    try:
        path.rmdir()
    except OSError:
        return False
    return True


@pytest.fixture
def shared(directory, start_daemon):
    directory.chmod(0o755)
    table = json.dumps([{"unit": UNIT, "write": ["backup:"]}])
    return start_daemon(shared_socket="true", access=table, audit="true")


def test_a_process_of_the_unit_has_it(shared, ask_from):
    """And the audit names the unit."""
    assert ask_from(shared, f"system.slice/{UNIT}")["ok"]
    assert f" unit {UNIT}: put 'backup:1', revision 1" in shared.log.read_text()


def test_a_unit_of_a_user_with_the_same_name_has_not(shared, ask_from):
    """Every user can start one that is called so."""
    group = f"user.slice/user-{OTHER}.slice/user@{OTHER}.service/app.slice/{UNIT}"

    assert "AccessDeniedError" == ask_from(shared, group)["error"]


def test_a_process_of_no_unit_has_not(shared, ask_from):
    """As most tests are."""
    assert "AccessDeniedError" == ask_from(shared, "")["error"]


def test_in_the_sandbox_others_cannot_be_told_apart(installed):
    """Root neither: all have the same uid there, and so no rights, whatever tables name it. The refusal says so."""
    installed.write(".config/kvd/config.toml", "[[access]]\nuid = 65534\nread = ['']\n")
    installed.kvctl("create", "key1", "1")
    endpoint = f"ipc:///run/user/{installed.uid}/kvd/data_store.sock"

    told = json.loads(installed.run_as_root(PYTHON, "-c", READ, endpoint).stdout)

    assert "AccessDeniedError" == told["error"]
    assert "another user (seen as uid 65534 in the daemon's user namespace)" in told["message"]
