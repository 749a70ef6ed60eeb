"""`LocalDataStore`: the store in this process."""

import errno
import json
import os
import subprocess
import sys
import threading

import pytest

from kvclient import (
    DataStoreError,
    InvalidKeyError,
    InvalidTTLError,
    InvalidValueError,
    KeyExistsError,
    KeyNotFoundError,
    StoreCorruptError,
    StoreFullError,
    StoreLockedError,
)
from kvd import LocalDataStore
from kvd.backend.file.engine import snapshot
from kvd.backend.file.engine.file import JsonFile
from processes import KVD, environment, wait_until


@pytest.fixture
def path(directory):
    return directory / "local.json"


class TestOperations:
    def test_values_come_back_exactly(self, path):
        """Every JSON value is returned as it was given: Unicode, large integers, all of a float's digits."""
        values = {
            "unicode": '😀 ünï \u2028 \x00 "quoted" back\\slash',
            "numbers": [10**300, -(2**64), 0.1, 1e300, -0.0, 5e-324],
            "nested": {"a": [{"": None}, True, []]},
            "string": "",
        }
        with LocalDataStore(path) as store:
            store.batch_create(values)
        with LocalDataStore(path) as store:
            found = {key: store.read(key) for key in values}

        assert values == found
        assert "-0.0" == str(found["numbers"][4])

    @pytest.mark.parametrize("key", ["", "a\nb", "\x7f", "\x85", "\ud800", 5, None, b"a"])
    def test_invalid_key_is_refused(self, path, key):
        """Empty keys, control characters, lone surrogates and what is no string are `InvalidKeyError`s."""
        with LocalDataStore(path) as store:
            for call in (lambda: store.create(key, 1), lambda: store.read(key), lambda: store.delete(key)):
                with pytest.raises(InvalidKeyError):
                    call()

            assert 0 == len(store)

    @pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": {1, 2}}, b"bytes", "\ud800", object()])
    def test_invalid_value_is_refused(self, path, value):
        """What JSON has no form for is an `InvalidValueError`, and nothing is written."""
        with LocalDataStore(path) as store:
            with pytest.raises(InvalidValueError):
                store.create("a", value)
            with pytest.raises(InvalidValueError) as caught:
                store.batch_create({"fine": 1, "a": value})

            assert ("a",) == caught.value.keys
            assert 0 == len(store)

    @pytest.mark.parametrize("kind", [lambda value: [value], lambda value: (value,), lambda value: {"a": value}])
    def test_values_nest_190_deep(self, path, kind):
        """What is deeper could not be told to a daemon, nor always be read again."""
        deep = 1
        for _ in range(190):
            deep = kind(deep)
        with LocalDataStore(path) as store:
            store.create("deep", deep)
            store.batch_create({"deep2": deep})
            for call in (
                lambda: store.create("a", kind(deep)),
                lambda: store.batch_create({"fine": 1, "a": kind(deep)}),
            ):
                with pytest.raises(InvalidValueError, match="190") as caught:
                    call()
                assert ("a",) == caught.value.keys

            assert json.loads(json.dumps(deep)) == store.read("deep") == store.read("deep2")

    def test_brackets_are_no_nesting(self, path):
        """A value may have any number of arrays and objects beside each other, and of brackets in strings."""
        value = [[{}]] * 300 + ["[{" * 300]
        with LocalDataStore(path) as store:
            store.create("a", value)

            assert value == store.read("a")

    @pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), "5", True])
    def test_invalid_ttl_is_refused(self, path, ttl):
        """A TTL is a finite number above 0."""
        with LocalDataStore(path) as store, pytest.raises(InvalidTTLError):
            store.create("a", 1, ttl=ttl)

    def test_key_expires_and_is_swept(self, path, clock):
        """An expired key cannot be read, and is removed from the file without anybody asking for it."""
        with LocalDataStore(path, clock=clock) as store:
            store.create("a", 1, ttl=5)
            clock.now += 5
            with pytest.raises(KeyNotFoundError):
                store.read("a")
            wait_until(lambda: len(store) == 0)

            assert json.loads(path.read_bytes())["a"] is None

    def test_all_that_has_expired_is_swept(self, path, clock):
        """However many keys expire at once, in portions."""
        with LocalDataStore(path, clock=clock) as store:
            for number in range(3):
                store.batch_create({f"key{number}.{part}": 1 for part in range(1000)}, ttl=5)
            clock.now += 5
            wait_until(lambda: len(store) == 0)

            assert 3000 == store.stats()["expired"]

    def test_empty_batch_changes_nothing(self, path):
        """It is allowed, as a loop's last batch may be empty."""
        with LocalDataStore(path) as store:
            before = store.create("a", 1)

            assert before == store.batch_create({})


class TestThreads:
    def test_contested_keys_have_one_winner(self, path):
        """Of eight threads that create the same keys, each key is won by exactly one."""
        won = [[] for _ in range(8)]

        def contend(mine, store):
            for number in range(100):
                try:
                    store.create(f"key{number}", number)
                    mine.append(number)
                except KeyExistsError:
                    pass

        with LocalDataStore(path) as store:
            threads = [threading.Thread(target=contend, args=(mine, store)) for mine in won]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert list(range(100)) == sorted(number for mine in won for number in mine)
            assert 100 == len(store)

    def test_readers_and_compactions_beside_writers(self, path):
        """Values stay readable while others write and the file is compacted again and again."""
        stop = threading.Event()
        wrong = []

        def read(store):
            while not stop.is_set():
                if store.read("fixed") != {"n": 1}:
                    wrong.append("fixed")

        with LocalDataStore(path, sync="never", compact_min_bytes=1, compact_share=0.2) as store:
            store.create("fixed", {"n": 1})
            readers = [threading.Thread(target=read, args=(store,)) for _ in range(2)]
            for reader in readers:
                reader.start()
            for number in range(600):
                store.create(f"k{number}", "x" * 100)
                if number % 3:
                    store.delete(f"k{number}")
            stop.set()
            for reader in readers:
                reader.join()

            assert [] == wrong
            assert 201 == len(store)
        with LocalDataStore(path) as store:
            assert 201 == len(store)


class TestFailures:
    @pytest.mark.timeout(30)
    def test_full_file_that_cannot_be_compacted_refuses(self, path, caplog):
        """A create raises StoreFullError, a delete is carried out, and the compaction is not tried at each of them."""
        with LocalDataStore(path, max_file_bytes=20_000, sync="never") as store:
            path.with_name("local.json.compacting").mkdir()
            store.create("a", 1)

            def fill():
                for number in range(1000):
                    store.create(f"k{number}", "x" * 1000)
                    store.delete(f"k{number}")

            for _ in range(3):
                with pytest.raises(StoreFullError, match="could not be compacted"):
                    fill()
            store.delete("a")
        assert 1 == caplog.text.count("was given up")

    @pytest.mark.parametrize(
        ("happens", "error"), [("interference", StoreCorruptError), ("disk error", DataStoreError)]
    )
    def test_compaction_that_fails_does_not_undo_what_came_before_it(self, path, monkeypatch, happens, error):
        """The delete that made it due has been carried out; what made it fail shows at the next write."""

        def interfere(*_):
            path.rename(path.with_name("elsewhere"))
            publish(*_)

        def fail(*_):
            raise OSError(errno.EIO, "Input/output error")

        publish = JsonFile._publish
        with LocalDataStore(path, compact_min_bytes=1000, compact_share=0.1) as store:
            store.create("a", "x" * 2000)
            if happens == "interference":
                monkeypatch.setattr(JsonFile, "_publish", interfere)
            else:
                monkeypatch.setattr(snapshot, "sync_directory", fail)
            store.delete("a")

            with pytest.raises(KeyNotFoundError):
                store.read("a")
            with pytest.raises(error, match=str(path)) as caught:
                store.create("b", 1)
            assert error is type(caught.value)

    def test_interrupted_write_is_an_error_for_all_who_share_it(self, path):
        """The thread that was writing gets the KeyboardInterrupt, the others are told; and writing goes on."""
        ended = {}

        def create(key):
            try:
                ended[key] = store.create(key, 1)
            except (DataStoreError, AssertionError, KeyboardInterrupt) as error:
                ended[key] = error

        with LocalDataStore(path) as store:
            write = store._store.write
            writers = [threading.Thread(target=create, args=(f"k{number}",)) for number in range(4)]

            def hold(group):
                store._store.write = interrupt
                for writer in writers[1:]:
                    writer.start()
                wait_until(lambda: len(store._committer.queue) == 3)
                write(group)

            def interrupt(_):
                store._store.write = write
                raise KeyboardInterrupt

            store._store.write = hold
            writers[0].start()
            for writer in writers:
                writer.join()

            assert isinstance(ended.pop("k0"), KeyboardInterrupt)
            assert [DataStoreError] * 3 == [type(error) for error in ended.values()]
            assert 1 == store.read("k0")
            assert 2 == store.create("later", 1)

    def test_store_that_another_thread_closes_is_closed_for_a_read_under_way(self, path, monkeypatch):
        """The error says so, however far the read has come."""
        store = LocalDataStore(path)
        store.create("a", 1)
        parse = store._parser.parse

        def close_and_parse(body):
            store.close()
            return parse(body)

        monkeypatch.setattr(store._parser, "parse", close_and_parse)

        with pytest.raises(DataStoreError, match="closed"):
            store.read("a")


class TestLock:
    def test_second_opening_is_refused_and_names_the_first(self, path):
        """A file is open once; the error says in which process."""
        with LocalDataStore(path) as store:
            with pytest.raises(StoreLockedError, match=str(os.getpid())):
                LocalDataStore(path)
            store.create("a", 1)

            assert 1 == store.read("a")

    def test_daemon_and_local_store_exclude_each_other(self, path, directory):
        """A daemon does not start on a file that is open here."""
        with LocalDataStore(path):
            daemon = subprocess.run(
                [*KVD, "--file", str(path), "--endpoint", f"ipc://{directory}/s.sock"],
                env=environment(directory),
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )

        assert 1 == daemon.returncode
        assert f"process {os.getpid()}" in daemon.stderr

    def test_closing_leaves_a_tidy_file_and_no_lock(self, path):
        """After `close` there is the data file, without white space at its end, and nothing else."""
        with LocalDataStore(path) as store:
            store.create("a", 1)
        store.close()

        assert [path] == list(path.parent.iterdir())
        assert path.read_bytes().endswith(b'"value":1}\n}\n')
        with pytest.raises(DataStoreError, match="closed"):
            store.read("a")

    def test_forked_child_may_not_use_it(self, path):
        """A child that inherited the store is refused, and its exit does the parent's store no harm."""
        program = """
import os, sys
from kvd import LocalDataStore, StoreLockedError
store = LocalDataStore(sys.argv[1])
store.create("a", 1)
child = os.fork()
if child == 0:
    try:
        store.create("b", 2)
    except StoreLockedError:
        store.close()
        os._exit(7)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), store.create("c", 3), flush=True)
store.close()
"""
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, str(path)],
            env=environment(path.parent),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )

        assert "7 2\n" == run.stdout
        with LocalDataStore(path) as store:
            assert [1, 3] == [store.read("a"), store.read("c")]


class TestSync:
    @pytest.mark.parametrize("sync", ["always", "interval", "never"])
    def test_every_mode_keeps_what_a_kill_interrupts(self, path, sync):
        """A process that is killed loses nothing that was acknowledged, whatever the mode: the kernel has it."""
        program = """
import os, sys
from kvd import LocalDataStore
store = LocalDataStore(sys.argv[1], sync=sys.argv[2])
for number in range(50):
    store.create(f"k{number}", number)
os.kill(os.getpid(), 9)
"""
        subprocess.run(
            [sys.executable, "-c", program, str(path), sync], env=environment(path.parent), timeout=30, check=False
        )
        with LocalDataStore(path) as store:
            found = [store.read(f"k{number}") for number in range(50)]

        assert list(range(50)) == found
