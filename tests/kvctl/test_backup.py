"""kvctl backup and restore, and kvd backup and restore below them."""

import os
import shutil
import stat
import subprocess
import threading

import pytest

from kvclient import Client
from kvclient.contract.errors import DataStoreError, RevisionGoneError, StoreCorruptError
from kvd.backend.file.engine import backup as backing_up
from kvd.backend.file.engine.backup import backup
from kvd.backend.file.engine.restore import Restoration
from processes import KVD, environment, kvctl, wait_until
from stores import Opened, as_others_read, assert_sound


@pytest.fixture
def store(daemon):
    with Client(daemon.endpoint) as store:
        yield store


@pytest.fixture
def run(daemon, directory):
    def run(*arguments):
        done = kvctl(*arguments, "--endpoint", daemon.endpoint, directory=directory)
        assert "Traceback" not in done.stderr
        return done

    return run


def test_a_backup_is_a_sound_data_file(run, store, directory):
    """For its owner only, with everything in it, and nothing is left beside it."""
    store.batch_create({f"key{number}": {"number": number} for number in range(500)})
    store.create("expiring", 1, ttl=500)
    store.delete("key7")
    target = directory / "backups" / "copy.json"
    target.parent.mkdir()

    done = run("backup", str(target))

    assert 0 == done.returncode, done.stderr
    assert f"500 keys at revision {store.status()['revision']:,}, " in done.stderr
    assert 0o600 == stat.S_IMODE(target.stat().st_mode)
    assert [target.name] == os.listdir(target.parent)
    assert_sound(target)
    assert {entry.key: entry.value for entry in store.entries()} == as_others_read(target)


def test_a_backup_has_all_that_was_acknowledged_before_it_began(daemon, run, directory):
    """Under load and compactions: each copy is sound, and no writer misses a key in it that it had the reply for."""
    acknowledged = [0, 0]
    ended = threading.Event()

    def write(writer):
        with Client(daemon.endpoint, timeout=60) as client:
            while not ended.is_set():
                number = acknowledged[writer] + 1
                client.create(f"{writer}-{number}", "x" * 1000)
                acknowledged[writer] = number

    threads = [threading.Thread(target=write, args=(writer,)) for writer in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        with Client(daemon.endpoint) as client:
            for round_ in range(6):
                client.compact()
                before = list(acknowledged)
                target = directory / f"copy{round_}.json"
                assert 0 == run("backup", str(target)).returncode
                there = as_others_read(target)
                for writer in (0, 1):
                    assert all(f"{writer}-{number}" in there for number in range(1, before[writer] + 1))
                    # … and what came later is there without gaps.
                    count = sum(key.startswith(f"{writer}-") for key in there)
                    assert f"{writer}-{count}" in there or count == 0
                assert_sound(target)
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_a_backup_opens_elsewhere(run, store, start_daemon, directory):
    """As the data file of another store."""
    store.create("a", [1])
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir()

    assert 0 == run("backup", str(elsewhere / "store.json")).returncode
    with Client(start_daemon(at=elsewhere).endpoint) as other:
        assert [1] == other.read("a")


def test_damage_is_never_copied_as_an_end(memory, monkeypatch):
    """A commit that is not whole, with others behind it, is named; what was at the target stays."""
    monkeypatch.setattr(backing_up, "_LOOK_SECONDS", 0)
    path, target = memory / "store.json", memory / "copy.json"
    target.write_text("before")
    with Opened(path) as opened:
        for number in range(10):
            opened.create(f"key{number}", "value" * 10)
    data = bytearray(path.read_bytes())
    data[data.index(b"key4") + 30] ^= 1
    path.write_bytes(data)

    with pytest.raises(StoreCorruptError, match="No backup was made"):
        backup(path, target)
    assert "before" == target.read_text()


def test_a_torn_tail_is_left_out(memory, monkeypatch):
    """It was never acknowledged."""
    monkeypatch.setattr(backing_up, "_LOOK_SECONDS", 0)
    path, target = memory / "store.json", memory / "copy.json"
    opened = Opened(path)
    opened.create("whole", 1)
    end = opened.engine._tail.end
    opened.crash()
    data = path.read_bytes()
    path.write_bytes(data[:end] + b',"":{"crc":"0' + data[end + 13 :])

    assert 1 == backup(path, target).keys
    assert {"whole": 1} == as_others_read(target)
    assert_sound(target)


def test_where_a_backup_cannot_be_made(run, store, daemon, directory):
    """The message names the path and the reason."""
    store.create("a", 1)

    for target, reason in (
        (directory / "no" / "copy.json", f"The backup {directory}/no/copy.json cannot be written: No such file"),
        (daemon.file, f"{daemon.file} is the data file itself."),
        (directory, f"{directory} is not a regular file."),
    ):
        done = run("backup", str(target))
        assert 1 == done.returncode
        assert done.stderr.startswith(f"kvctl: {reason}"), done.stderr


def test_a_daemon_on_another_machine_is_not_backed_up(directory):
    """Its file is not here."""
    done = kvctl("backup", "copy.json", "--endpoint", "tcp://127.0.0.1:1", directory=directory)

    assert 1 == done.returncode
    assert "run it there" in done.stderr


class TestRestore:
    @pytest.fixture
    def home(self, directory):
        """A home with a store of the default name, whose daemon ends with the test."""
        assert 0 == kvctl("put", "a", '"before"', "--timeout", "60", directory=directory).returncode
        yield directory
        kvctl("stop", directory=directory)

    @pytest.fixture
    def copy(self, home):
        assert 0 == kvctl("put", "expiring", "1", "--ttl", "500", directory=home).returncode
        assert 0 == kvctl("backup", str(home / "copy.json"), directory=home).returncode
        kvctl("put", "a", '"after"', directory=home)
        kvctl("put", "b", "1", directory=home)
        return home / "copy.json"

    def client(self, home):
        return Client(f"ipc://{home}/run/kvd/data_store.sock", timeout=60)

    def test_puts_back_what_was_there(self, home, copy):
        """Keys and TTLs; the daemon runs again, and what was there is kept beside."""
        file = home / "Documents" / "data_store.json"
        with self.client(home) as store:
            pid, expires_at = store.status()["pid"], store.entry("expiring").expires_at
            done = kvctl("restore", str(copy), "--yes", directory=home)

            assert 0 == done.returncode, done.stderr
            (kept,) = file.parent.glob("*.replaced-*")
            assert f"restored 2 keys from {copy}; what was there before is {kept}\n" == done.stderr
            assert {"a": "before", "expiring": 1} == {entry.key: entry.value for entry in store.entries()}
            assert expires_at == store.entry("expiring").expires_at
            assert pid != store.status()["pid"]
            assert {"a": "after", "b": 1, "expiring": 1} == as_others_read(kept)
            assert_sound(kept)
        assert {file, kept, file.with_name(f"{file.name}.lock")} == set(file.parent.iterdir())
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
        kvctl("stop", directory=home)
        assert_sound(file)

    def test_revisions_go_on(self, home, copy):
        """Above all that were given out; a key's new one fits no condition from before; watchers are told."""
        with self.client(home) as store:
            before = store.status()["revision"]
            kvctl("restore", str(copy), "--yes", directory=home)

            assert store.entry("a").revision == store.status()["revision"] > before
            with pytest.raises(RevisionGoneError):
                store.watch(after=before)

    def test_others_wait_and_go_on(self, home, copy):
        """A client that writes all the while gets no error, and each key that it wrote is there before or after."""
        ended, errors, revisions = threading.Event(), [], []

        def write():
            with self.client(home) as client:
                while not ended.is_set():
                    try:
                        revisions.append(client.increment("counter"))
                    except DataStoreError as error:
                        errors.append(error)
                        return

        thread = threading.Thread(target=write)
        thread.start()
        try:
            wait_until(lambda: len(revisions) > 10)
            done = kvctl("restore", str(copy), "--yes", directory=home)
            count = len(revisions)
            wait_until(lambda: len(revisions) > count + 10 or errors)
        finally:
            ended.set()
            thread.join()

        assert (0, []) == (done.returncode, errors)
        assert 1 in revisions[1:]  # the restored store has no counter

    def test_a_lock_stays_with_its_holder(self, home, copy):
        """Ephemeral keys of now stay, with their fencing numbers, and those of then are left out."""
        with self.client(home) as store:
            store.create("then", 1, ephemeral=True)
            kvctl("backup", str(copy), directory=home)
            store.delete("then")
            revision = store.create("now", 2, ephemeral=True)
            kvctl("restore", str(copy), "--yes", directory=home)

            assert [("now", 2, revision)] == [
                (entry.key, entry.value, entry.revision) for entry in store.entries() if entry.owner is not None
            ]
            assert not store.exists("then")

    def test_without_a_daemon(self, home, copy):
        """The file is put in place, and no daemon started."""
        kvctl("stop", directory=home)

        assert 0 == kvctl("restore", str(copy), "--yes", directory=home).returncode
        assert 6 == kvctl("ping", "--timeout", "0.1", directory=home).returncode
        assert '"before"\n' == kvctl("read", "a", directory=home).stdout

    def test_into_a_store_that_is_not_there(self, home, copy):
        """A store is made of the backup."""
        done = kvctl("restore", str(copy), "--yes", "--store", "new", directory=home)

        assert (0, f"restored 2 keys from {copy}\n") == (done.returncode, done.stderr)
        assert '"before"\n' == kvctl("read", "a", "--store", "new", directory=home).stdout
        kvctl("stop", "--store", "new", directory=home)

    def test_needs_yes_where_nobody_can_be_asked(self, home, copy):
        """Exit code 2, and nothing is done."""
        done = kvctl("restore", str(copy), directory=home)

        assert 2 == done.returncode
        assert "--yes" in done.stderr
        assert '"after"\n' == kvctl("read", "a", directory=home).stdout

    @pytest.mark.usefixtures("copy")
    @pytest.mark.parametrize("content", [None, "", "{}", '{"a": {"value": 1}}', "text"])
    def test_what_is_no_backup_changes_nothing(self, home, content):
        """The daemon goes on."""
        bad = home / "bad.json"
        if content is not None:
            bad.write_text(content)
        with self.client(home) as store:
            pid = store.status()["pid"]
            done = kvctl("restore", str(bad), "--yes", directory=home)

            assert (1, pid, "after") == (done.returncode, store.status()["pid"], store.read("a"))
            assert str(bad) in done.stderr
            assert 1 == done.stderr.count("\n")
        assert not list((home / "Documents").glob("*.restoring"))

    def test_a_daemon_of_ones_own_is_to_be_started_again(self, daemon, run, store, directory):
        """Who named an endpoint started it with options that kvctl does not know."""
        store.create("a", 1)
        run("backup", str(directory / "copy.json"))
        store.delete("a")
        done = run("restore", str(directory / "copy.json"), "--yes", "--timeout", "0.5")

        assert 0 == done.returncode
        assert f"Start it again as it was started, for instance with 'kvd --endpoint {daemon.endpoint}'." in done.stderr
        daemon.process.wait()
        daemon.start()
        assert 1 == store.read("a")


def test_a_request_that_is_repeated_is_not_carried_out_on_the_restored_keys(memory):
    """It was answered before."""
    path, copy = memory / "store.json", memory / "copy.json"
    with Opened(path) as opened:
        opened.create("a", 1, id="client:1")
        backup(path, copy)
        opened.delete("a", id="client:2")
    with Restoration(copy, path, 1 << 30) as prepared:
        prepared.finish()
    with Opened(path) as opened:
        assert 1 == opened.read("a")
        opened.delete("a", id="client:2")
        assert 1 == opened.read("a")


def test_changes_after_the_preparation_are_known(memory):
    """Also those that a compaction has put into another file: outcomes, revisions and ephemeral keys count."""
    path, copy = memory / "store.json", memory / "copy.json"
    with Opened(path) as opened:
        opened.create("a", 1)
        backup(path, copy)
    with Restoration(copy, path, 1 << 30) as prepared:
        with Opened(path) as opened:
            for number in range(1, 20):
                opened.create(f"key{number}", "x" * 100, id=f"client:{number}")
            opened.compact()
            opened.delete("key19", id="client:20")
        kept = prepared.finish().kept
    with Opened(path) as opened:
        opened.create("key19", 2, id="client:20")
        assert {"a": 1} == opened.contents()
    assert 19 == len(as_others_read(kept))


def test_a_restore_does_not_take_the_file_from_its_owner(memory):
    """It waits for as long as it was told to, and then leaves nothing behind."""
    path, copy = memory / "store.json", memory / "copy.json"
    with Opened(path) as opened:
        opened.create("a", 1)
        backup(path, copy)
        done = subprocess.run(
            [*KVD, "restore", str(copy), str(path)],
            capture_output=True,
            text=True,
            check=False,
            env=environment(memory),
        )

        assert (1, "") == (done.returncode, done.stdout)
        assert "is in use by process" in done.stderr
        opened.create("b", 2)
    assert not (memory / "store.json.restoring").exists()


def test_a_restore_that_would_not_fit_is_refused(memory):
    """Before anything is changed."""
    path, copy = memory / "store.json", memory / "copy.json"
    with Opened(path) as opened:
        opened.create("a", "x" * 5000)
    shutil.copy(path, copy)
    done = subprocess.run(
        [*KVD, "restore", str(copy), str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(memory, KVD_MAX_FILE_BYTES="4096"),
    )

    assert 1 == done.returncode
    assert "max_file_bytes" in done.stderr


def test_kvd_restore_names_the_backup_that_cannot_be_read(directory):
    """Not the store's file, which is all right."""
    for path, reason in ((directory, "Is a directory"), (directory / "none", "No such file or directory")):
        done = subprocess.run(
            [*KVD, "restore", str(path), str(directory / "store.json")],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environment(directory),
        )

        assert (1, f"kvd: The backup {path} cannot be read: {reason}.\n") == (done.returncode, done.stderr)


def test_a_backup_does_not_go_to_a_file_named_dash(run, directory, monkeypatch):
    """Elsewhere - is standard output."""
    monkeypatch.chdir(directory)
    done = run("backup", "-")

    assert (2, "") == (done.returncode, done.stdout)
    assert "'kvctl export' writes to standard output" in done.stderr
    assert not (directory / "-").exists()
