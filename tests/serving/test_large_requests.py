"""The largest requests there are, from four peers without pause: others are served, and memory stays bounded."""

import json

import pytest

from large_requests import MIB, PEERS, SHAPES, measure
from processes import wait_until

MOST_BESIDE = 400 * MIB
"""Four requests of 16 MiB, received, parsed, written and answered."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SHAPES)
def test_others_are_served_beside_large_requests(start_daemon, name, long):
    """Every read of another client is answered, and right; the daemon's memory has a bound, and its file is sound."""
    daemon = start_daemon(sync="never")

    found = measure(daemon, name, 20 if long else 0.5, requests=10 * PEERS if long else PEERS)

    assert found.peak < MOST_BESIDE
    print(f"{name}: longest read {1000 * found.seconds[-1]:.0f} ms, {found.peak // MIB} MiB more memory")
    wait_until(lambda: json.loads(daemon.ask(b'{"op":"stats"}'))["stats"]["peers"] <= 1)
    assert [1] == json.loads(daemon.ask(b'{"op":"read","key":"canary"}'))["value"]
    assert 0 == daemon.stop()
    assert 0 == daemon.check().returncode
    assert "Traceback" not in daemon.log.read_text()
