"""kvctl list: a table for a person, lines for programs."""

import json
import os
import re
import subprocess

import pytest

from kvclient import Client
from processes import KVCTL, environment, resident
from terminal import without_colour


@pytest.fixture
def some(shared_store, key):
    """Keys as a store may have them."""
    shared_store.create(f"{key}:a", {"name": "value1"})
    shared_store.create(f"{key}:b", "x" * 500, ttl=252.9)
    shared_store.create(f"{key}:c", ["ü", "鍵" * 60], ephemeral=True)
    return key


class TestOnATerminal:
    @pytest.mark.parametrize("columns", [80, 200])
    def test_table_fits_the_terminal(self, open_terminal, some, columns):
        """No line is wider, whatever characters it has; a value ends with an ellipsis where it is cut."""
        lines = without_colour(open_terminal("list", f"{some}:", columns=columns).end()).splitlines()

        assert ["KEY", "VALUE", "REVISION", "LIFETIME", "OWNER"] == lines[0].split()
        assert 4 == len(lines)
        assert all(len(line) + len(re.findall("鍵", line)) <= columns for line in lines)
        assert re.search(r"expires in 4m 1[0-2]s", lines[2])
        assert "…" in lines[2]
        assert f"pid {os.getpid()}" in lines[3]

    def test_columns_that_nothing_is_in_are_left_out(self, open_terminal, some):
        """Where no key expires and none has an owner, the value gets the room."""
        lines = without_colour(open_terminal("list", f"{some}:", "--limit", "1").end()).splitlines()

        assert ["KEY", "VALUE", "REVISION"] == lines[0].split()
        assert [f"{some}:a", '{"name":', '"value1"}'] == lines[1].split()[:3]

    @pytest.mark.parametrize("columns", [80, 200])
    def test_a_long_key_leaves_room_for_the_value(self, open_terminal, shared_store, key, columns):
        """A third of the line, where the value needs it."""
        shared_store.create(f"{key}:{'k' * 200}", "v" * 200)
        line = without_colour(open_terminal("list", key, columns=columns).end()).splitlines()[1]

        assert columns // 4 <= line.count("v") <= columns // 3
        assert columns // 2 < line.index("…") < columns

    def test_no_keys(self, open_terminal, key):
        """It says so."""
        assert f"No key begins with '{key}'.\n" == without_colour(open_terminal("list", key).end())

    @pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"term": "dumb"}], ids=str)
    def test_without_colour(self, open_terminal, some, variables):
        """As NO_COLOR and a dumb terminal ask for."""
        assert "\x1b" in open_terminal("list", some).end()
        assert "\x1b" not in open_terminal("list", some, **variables).end()

    def test_terminal_gets_no_commands_from_a_value(self, open_terminal, shared_store, key):
        """Colour is kvctl's; what comes from the store is escaped."""
        shared_store.create(key, "\x9b2J\x1b[31m")
        printed = open_terminal("list", key).end()

        assert "\\u009b2J\\u001b[31m" in printed
        assert "\x9b" not in printed


class TestInAPipe:
    def test_one_key_a_line(self, run, some):
        """And nothing else."""
        assert f"{some}:a\n{some}:b\n{some}:c\n" == run("list", f"{some}:").stdout

    def test_as_json_lines(self, run, some):
        """With revision, expiry and owner."""
        first, second, third = map(json.loads, run("list", f"{some}:", "--json").stdout.splitlines())

        assert {"key", "revision"} == first.keys()
        assert {"key", "revision", "expires_at"} == second.keys()
        assert os.getpid() == third["owner"]["pid"]


def test_memory_does_not_grow_with_the_keys(start_daemon, directory, long):
    """With --long 1,000,000 keys: what kvctl list needs is the same after the first thousand and at the end."""
    daemon = start_daemon(sync="never")
    count = 1_000_000 if long else 100_000
    with Client(daemon.endpoint, timeout=60) as store:
        for begin in range(0, count, 10_000):
            store.batch_create({f"key{number:07}": number for number in range(begin, begin + 10_000)})
    process = subprocess.Popen(
        [*KVCTL, "list", "--values"],
        env=environment(directory, KVD_ENDPOINT=daemon.endpoint),
        stdout=subprocess.PIPE,
        text=True,
    )
    sizes, lines = [], 0
    with process:
        for _ in process.stdout:
            lines += 1
            if lines % 20_000 == 0 and lines < count - 10_000:
                sizes.append(resident(process.pid))

    assert (count, 0) == (lines, process.returncode)
    assert max(sizes) - sizes[0] < 2 * 1024 * 1024
