"""Many processes at once: nothing is lost, nothing is won twice."""

import json
import subprocess
import sys

from kvclient import Client
from processes import environment

CONTESTANT = """
import json, sys
from kvclient import Client, KeyExistsError
name, endpoint = sys.argv[1:]
store = Client(endpoint, timeout=60)
print("ready", flush=True)
sys.stdin.readline()
won = []
for number in range(500):
    store.create(f"own-{name}-{number}", [name, number])
    if number % 5 < 2:
        contested = f"contested-{number // 5 * 2 + number % 5}"
        try:
            store.create(contested, name)
            won.append(contested)
        except KeyExistsError as error:
            assert error.keys == (contested,)
print(json.dumps(won))
"""


def test_eight_processes_create_their_own_keys_and_contest_others(daemon):
    """8 × 500 keys are there once each, and each of 200 contested keys was won by exactly one process."""
    contestants = {
        name: subprocess.Popen(
            [sys.executable, "-c", CONTESTANT, name, daemon.endpoint],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(daemon.directory),
        )
        for name in "ABCDEFGH"
    }
    for process in contestants.values():
        assert process.stdout.readline() == "ready\n"
    for process in contestants.values():
        process.stdin.write("go\n")
        process.stdin.flush()
    won = {name: json.loads(process.communicate(timeout=100)[0]) for name, process in contestants.items()}

    assert sorted(f"contested-{number}" for number in range(200)) == sorted(
        key for keys in won.values() for key in keys
    )
    with Client(daemon.endpoint) as store:
        assert all(store.read(key) == name for name, keys in won.items() for key in keys)
        assert all(store.read(f"own-{name}-{number}") == [name, number] for name in won for number in range(500))
        assert 4200 == store.status()["keys"] == store.status()["revision"]
