"""Limits of keys, values and the file."""

import time

import pytest

from kvclient import InvalidKeyError, KeyTooLongError, StoreFullError
from stores import Opened, create, create_all, delete, request


def fill(opened, value, ttl=None):
    """Create keys until the file is full; return them and the error that says so."""
    created = []
    try:
        while True:
            opened.create(f"key{len(created)}", value, ttl)
            created.append(f"key{len(created)}")
    except StoreFullError as error:
        return created, error


class TestKeys:
    def test_longest_key_passes_and_one_more_is_refused(self, opened):
        """With the limit and its setting named; it is counted in characters."""
        opened.create("é" * 256, 1)
        (refused,) = opened.do(create("k" * 257, 1))

        assert isinstance(refused, KeyTooLongError)
        assert "256 (setting max_key_length)" in str(refused)

    @pytest.mark.parametrize("op", ["read", "exists", "delete", "pop", "put", "update", "increment", "expire"])
    @pytest.mark.parametrize(
        ("key", "error"), [("", InvalidKeyError), ("\x7f", InvalidKeyError), ("k" * 257, KeyTooLongError)]
    )
    def test_no_operation_takes_what_cannot_be_a_key(self, opened, op, key, error):
        """It is told what is wrong with it, rather than that there is none."""
        fields = {"put": {"value": 1}, "update": {"value": 1}, "expire": {"ttl": 1}}.get(op, {})
        with pytest.raises(error):
            opened.ask(op, key=key, **fields)

    def test_keys_from_before_a_limit_was_lowered_are_kept(self, directory, clock):
        """They can be read and deleted, not created."""
        with Opened(directory / "s.json", clock, sync="never") as opened:
            opened.create("k" * 100, 1)
        with Opened(directory / "s.json", clock, sync="never", max_key_length=10) as opened:
            assert 1 == opened.read("k" * 100)
            opened.delete("k" * 100)
            (refused,) = opened.do(create("k" * 100, 1))
            assert isinstance(refused, KeyTooLongError)


class TestFullFile:
    def test_full_file_refuses_creates_and_still_deletes(self, directory, clock):
        """At max_file_bytes a create is StoreFullError, reads and deletes work, and a delete makes room."""
        with Opened(directory / "full.json", clock, sync="never", max_file_bytes=8192) as opened:
            value = "x" * 100
            created, error = fill(opened, value)

            assert "max_file_bytes" in str(error)
            assert len(created) > 30
            assert opened.path.stat().st_size <= 8192
            for key in created[:5]:
                assert isinstance(opened.delete(key), int)
            assert isinstance(opened.create("new", 1), int)
            assert value == opened.read(created[-1])
            assert opened.path.stat().st_size <= 8192

    @pytest.mark.parametrize("op", ["delete", "delete_many", "clear"])
    def test_what_only_removes_uses_what_is_kept_for_removals(self, directory, clock, op):
        """So a full file can be emptied."""
        with Opened(directory / "full.json", clock, sync="never", max_file_bytes=8192) as opened:
            fill(opened, "x" * 100)
            assert isinstance(opened.do(request("put", key="key0", value="y" * 200))[0], StoreFullError)
            fields = {"delete": {"key": "key1"}, "delete_many": {"keys": ["key1", "key2"]}, "clear": {"prefix": "key1"}}

            assert opened.ask(op, **fields[op])["ok"]

    @pytest.mark.parametrize(
        ("left", "deleted", "due"),
        [(17_000, 3, False), (17_000, 5, True), (1_000, 2, False), (1_000, 3, True), (135_000, 20, False)],
    )
    def test_a_nearly_full_file_is_compacted_if_that_doubles_its_room(self, directory, clock, left, deleted, due):
        """Before writers have to wait for it; and not for a trifle. Some of what is dead counts as markers to come."""
        with Opened(directory / "store.json", clock, sync="never", max_file_bytes=1_000_000) as opened:
            number = 0
            while (size := min(9_900, opened.engine.room(removing=False) - left - 100)) > 100:
                opened.do(create(f"key{number}", "x" * size))
                number += 1
            for deletion in range(deleted):
                opened.do(delete(f"key{deletion}"))
            assert opened.store.compaction_due() is due

    def test_expired_keys_make_room(self, directory, clock):
        """A file full of expired keys takes a new one after a compaction that writes no record of their removal."""
        with Opened(directory / "full.json", clock, sync="never", max_file_bytes=8192) as opened:
            value = "x" * 200
            created, _ = fill(opened, value, ttl=5)
            clock.now += 5
            waiting = opened.decide(create("new", value))
            opened.compact()

            assert len(created) > 20
            assert [] == waiting.results
            assert waiting.waits_for_room
            assert isinstance(opened.do(create("new", value))[0], int)
            assert 1 == len(opened.keys)
            opened.settle()
            assert ["new"] == opened.list()

    def test_operation_that_does_not_fit_with_others_waits_for_the_next_group(self, directory, clock):
        """Alone it may."""
        with Opened(directory / "full.json", clock, sync="never", max_file_bytes=8192) as opened:
            size = opened.engine.room(removing=False) // 2
            operations = [create(f"k{n}", "x" * (size - 100 - 200 * n)) for n in range(3)]
            done = opened.do(*operations)

            assert 0 < len(done) < 3

    def test_compaction_that_fails_is_followed_by_a_pause(self, directory, clock, monkeypatch):
        """Meanwhile none is due, and what needs its room is refused instead of waiting; what fits is carried out."""
        with Opened(directory / "full.json", clock, sync="never", max_file_bytes=8192, compact_min_bytes=1) as opened:
            number = 0
            while opened.decide(create(f"key{number}", "1" * 500)).results:
                opened.do(create(f"key{number}", "1" * 500), delete(f"key{number}"))
                number += 1
            opened.path.with_name("full.json.compacting").mkdir()
            with pytest.raises(OSError, match="compacting"):
                opened.compact()

            assert not opened.store.compaction_due()
            refused, done = opened.do(create("large", "1" * 500), create("a", 1))
            assert isinstance(refused, StoreFullError)
            assert "could not be compacted" in str(refused)
            assert isinstance(done, int)

            opened.path.with_name("full.json.compacting").rmdir()
            later = time.monotonic() + 60
            monkeypatch.setattr(time, "monotonic", lambda: later)
            assert opened.store.compaction_due()
            assert isinstance(opened.create("large", "1" * 500), int)

    def test_batch_that_can_never_fit_is_refused(self, directory, clock):
        """At once, whatever could be freed."""
        with Opened(directory / "full.json", clock, sync="never", max_file_bytes=8192) as opened:
            opened.do(create("a", "x" * 2000), delete("a"))
            (refused,) = opened.do(create_all({f"k{n}": b'"%s"' % (b"x" * 1000) for n in range(8)}))

            assert isinstance(refused, StoreFullError)
            assert {} == opened.contents()
