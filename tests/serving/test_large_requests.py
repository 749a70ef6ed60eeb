"""The largest requests there are, from four peers without pause: others are served, and memory stays bounded."""

import json

import pytest

from large_requests import MIB, PEERS, SHAPES, measure
from processes import wait_until

MOST_BESIDE = 400 * MIB
"""Four requests of 16 MiB, received, parsed, written and answered."""
MOST_KEPT = 150 * MIB
"""Of that, what is still there when all is done; a quarter of it is the index of the keys that were put."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SHAPES)
def test_others_are_served_beside_large_requests(start_daemon, name, long):
    """Every read of another client is answered, and right; its memory has a bound, and most of it goes back."""
    daemon = start_daemon(sync="never")
    rest = daemon.resident()

    found = measure(daemon, name, 20 if long else 0.5, requests=10 * PEERS if long else PEERS)

    assert found.peak < MOST_BESIDE
    print(f"{name}: longest read {1000 * found.seconds[-1]:.0f} ms, {found.peak // MIB} MiB more memory")
    wait_until(lambda: json.loads(daemon.ask(b'{"op":"stats"}'))["stats"]["peers"] <= 1)
    wait_until(lambda: daemon.resident() < rest + MOST_KEPT)
    assert [1] == json.loads(daemon.ask(b'{"op":"read","key":"canary"}'))["value"]
    assert 0 == daemon.stop()
    assert 0 == daemon.check().returncode
    assert "Traceback" not in daemon.log.read_text()
