"""The audit: who changed what, in one line of the log, and nothing where nothing was changed."""

import json
import os
import re

import pytest

from kvclient import Client, KeyExistsError
from kvd.asked import Asked
from kvd.backend.file.committer import Committer
from kvd.backend.file.health import Health
from stores import Opened, request


@pytest.fixture
def audited(start_daemon):
    return start_daemon(audit="true")


def lines(daemon):
    """Return what the audit told: who, and what. A line is there before the reply is."""
    return re.findall(r"INFO +(uid \d+ pid \d+.*?): (.*)$", daemon.log.read_text(), re.MULTILINE)


def changes(daemon):
    return [what for _, what in lines(daemon)]


def test_each_change_is_a_line(audited):
    """With the operation, the key and the revision at which it was committed."""
    with Client(audited.endpoint) as store:
        store.create("a", 1)
        store.put("a", 2)
        store.increment("n")
        store.expire("a", 5)
        store.pop("a")
        store.delete("n")

    assert ["create 'a'", "put 'a'", "increment 'n'", "expire 'a'", "pop 'a'", "delete 'n'"] == [
        what.partition(", revision")[0] for what in changes(audited)
    ]
    assert [f"revision {number}" for number in range(1, 7)] == [what.split(", ")[-1] for what in changes(audited)]


def test_says_who_asked(audited):
    """Uid and pid, as the kernel tells them; here also the unit, where the tests run in one."""
    with Client(audited.endpoint) as store:
        store.put("a", 1)

    ((who, _),) = lines(audited)
    assert who.startswith(f"uid {os.getuid()} pid {os.getpid()}")


def test_only_what_was_changed(audited):
    """Not what was read, refused, asked for again, or found nothing to do."""
    with Client(audited.endpoint) as store:
        store.create("a", 1)
        with pytest.raises(KeyExistsError):
            store.create("a", 2)
        store.read("a")
        store.delete_many(["x", "y"])
        store.clear("nothing")
    for _ in range(3):
        audited.ask(b'{"op":"put","key":"b","value":1,"id":"w:1"}')

    assert ["create 'a', revision 1", "put 'b', revision 2"] == changes(audited)


def test_many_keys_are_told_of_by_the_hundred(audited):
    """All of them, with the operation for each."""
    with Client(audited.endpoint) as store:
        store.batch_create({f"{number:03}": 1 for number in range(150)})
        store.batch([{"op": "put", "key": "x", "value": 1}, {"op": "delete", "key": "000"}])
        store.clear("1")

    told = changes(audited)
    assert 100 == told[0].count("batch_create '")
    assert 50 == told[1].count("batch_create '")
    assert "put 'x', delete '000', revision 3" == told[2]
    assert told[3].startswith("clear '1', revision")


def test_a_key_cannot_disturb_the_line(audited):
    """What would turn the text around, or break the line, is shown as an escape."""
    with Client(audited.endpoint) as store:
        store.put("\u202e\u2028'é", 1)

    assert [r"""put "\u202e\u2028'é", revision 1"""] == changes(audited)


def test_nothing_is_told_without_the_setting(daemon):
    """The log has what it always has."""
    with Client(daemon.endpoint) as store:
        store.put("a", 1)

    assert json.loads(daemon.ask(b'{"op":"exists","key":"a"}'))["exists"]
    assert [] == changes(daemon)


def test_in_a_group_only_those_who_changed_something(directory):
    """What is asked for again beside somebody's change is told of once."""
    noted = []
    with Opened(directory / "store.json", sync="never") as opened:
        committer = Committer(
            opened.store, Health(opened.engine, ""), lambda request, _, revision: noted.append((request.key, revision))
        )
        first = request("put", key="a", value=1, id="w:1")
        for group in (
            [first],
            [first, request("put", key="b", value=1), request("put", key="c", value=1, id="v:1")] * 2,
        ):
            for each in group:
                committer.add(Asked(), each, 0)
            committer.write(committer.begin())
            committer.end(None)

    assert [("a", 1), ("b", 2), ("c", 3), ("b", 4)] == noted
