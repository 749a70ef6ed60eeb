"""Ephemeral keys: bound to the life of a process, as the kernel tells."""

import subprocess

import pytest

from kvclient import InvalidValueError
from kvd.backend.asking import Owner
from kvd.backend.file.store.operations.upkeep import Release
from kvd.processes import named_process, this_process
from processes import wait_until
from stores import create, delete, request


class Asker:
    """Asks for a process; where the kernel cannot tell which, for none."""

    def __init__(self, owner):
        self._owner = owner

    def owner(self, ephemeral):
        if self._owner is None:
            raise InvalidValueError("The kernel cannot tell.")
        return self._owner if ephemeral is True else named_process(ephemeral, self._owner.uid)


@pytest.fixture
def process():
    """A process that lives until its standard input is closed."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


@pytest.fixture
def owner(process):
    return named_process(process.pid, this_process().uid)


def bind(opened, owner, *keys, op="create"):
    return opened.outcomes(*(request(op, key=key, value=1, ephemeral=True) for key in keys), asker=Asker(owner))


def end(process):
    process.kill()
    process.wait()


def release(opened):
    """Do what the chores do."""
    wait_until(lambda: list(opened.keys.owners.ended()))
    for owner in list(opened.keys.owners.ended()):
        opened.change(Release([owner]))


class TestOwner:
    def test_entry_names_the_process(self, opened, owner, process):
        """In reads and lists."""
        bind(opened, owner, "a")

        assert {"pid": process.pid, "uid": owner.uid} == opened.ask("read", key="a")["owner"]
        assert {"pid": process.pid, "uid": owner.uid} == opened.ask("list")["entries"][0]["owner"]
        assert 1 == len(opened.keys.owners)

    def test_pid_of_another_process_is_its_owner(self, opened, owner, process):
        """Whoever asks."""
        opened.outcomes(request("create", key="a", value=1, ephemeral=process.pid), asker=Asker(this_process()))

        assert owner == opened.keys.owners.of("a")

    def test_kernel_that_cannot_tell_refuses(self, opened):
        """With its reason; nothing is created."""
        (refused,) = bind(opened, None, "a")

        assert isinstance(refused, InvalidValueError)
        assert {} == opened.contents()

    @pytest.mark.parametrize("op", ["put", "update"])
    def test_replacing_rebinds_or_frees(self, opened, owner, op):
        """Without `ephemeral` the key is bound to nobody, with it to the asker."""
        opened.create("a", 1)
        bind(opened, owner, "a", op=op)
        assert owner == opened.keys.owners.of("a")
        bind(opened, this_process(), "a", op=op)
        assert this_process() == opened.keys.owners.of("a")
        opened.ask(op, key="a", value=2)

        assert opened.keys.owners.of("a") is None
        assert "owner" not in opened.ask("read", key="a")
        assert 0 == len(opened.keys.owners)

    def test_increment_and_expire_keep_the_owner(self, opened, owner, clock):
        """Also where it was bound in the same group."""
        asker = Asker(owner)
        opened.outcomes(
            request("create", key="n", value=1, ephemeral=True),
            request("increment", key="n"),
            request("expire", key="n", ttl=5),
            asker=asker,
        )
        opened.ask("increment", key="n")

        assert owner == opened.keys.owners.of("n")
        clock.now += 5
        opened.sweep()
        assert 0 == len(opened.keys.owners)

    def test_key_that_is_created_anew_belongs_to_nobody(self, opened, owner):
        """A delete ends the binding, in one group and across groups."""
        bind(opened, owner, "a", "b")
        opened.do(delete("a"), create("a", 1))
        opened.delete("b")
        opened.create("b", 1)

        assert 0 == len(opened.keys.owners)


class TestEnd:
    def test_all_its_keys_go_when_a_process_ends(self, opened, owner, process):
        """As released; what was freed, or bound to another, stays."""
        bind(opened, owner, "a", "b", "freed", "rebound")
        opened.ask("put", key="freed", value=1)
        bind(opened, this_process(), "rebound", op="put")
        events = opened.follow()
        assert [] == list(opened.keys.owners.ended())
        end(process)
        release(opened)

        assert [("released", "a", b"1"), ("released", "b", b"1")] == [(e.kind, e.key, e.previous) for e in events]
        assert {"freed": 1, "rebound": 1} == opened.contents()
        assert 2 == opened.keys.removed["released"]
        assert [] == list(opened.keys.owners.ended())

    def test_release_sees_what_its_group_did_before(self, opened, owner, process):
        """A key that is freed, or deleted and created anew, in the same group is not released."""
        bind(opened, owner, "a", "b", "c")
        end(process)
        wait_until(lambda: list(opened.keys.owners.ended()))
        opened.do(request("put", key="a", value=2), delete("b"), create("b", 2), Release([owner]))

        assert {"a": 2, "b": 2} == opened.contents()

    def test_release_that_is_not_written_is_done_again(self, opened, owner, process):
        """The process stays ended as long as it has keys."""
        bind(opened, owner, "a")
        end(process)
        wait_until(lambda: list(opened.keys.owners.ended()))
        opened.store.fail(opened.decide(Release([owner])))
        release(opened)

        assert {} == opened.contents()

    def test_process_that_ended_before_its_key_was_visible_is_noticed(self, opened, owner, process):
        """Between the asking and the commit."""
        group = opened.decide(request("create", key="a", value=1, ephemeral=True), asker=Asker(owner))
        end(process)
        opened.store.write(group)
        opened.store.finish(group)
        release(opened)

        assert {} == opened.contents()


class TestRestart:
    def test_living_process_keeps_its_keys(self, opened, owner, process):
        """Across a restart and a compaction; its end is noticed afterwards."""
        bind(opened, owner, "a")
        opened.compact()
        with opened.reopened() as again:
            assert [] == list(again.keys.owners.ended())
            assert owner == again.keys.owners.of("a")
            end(process)
            release(again)
            assert {} == again.contents()

    @pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}, {"pid": 2**22 - 1}])
    def test_pid_that_is_another_process_s_now_keeps_no_key(self, opened, change):
        """A pid used again, a reboot, and a process that is no more: each is told by start time and boot."""
        bind(opened, this_process()._replace(**change), "dead")
        bind(opened, this_process(), "living")
        with opened.reopened() as again:
            (ended,) = again.keys.owners.ended()
            assert isinstance(ended, Owner)
            again.change(Release([ended]))
            assert {"living": 1} == again.contents()

    def test_descriptors_are_freed(self, opened, owner):
        """One a process, however many keys it has."""
        bind(opened, owner, *(f"k{n}" for n in range(50)))
        assert 1 == len(opened.keys.owners._pidfds)
        opened.ask("clear")

        assert {} == opened.keys.owners._pidfds == opened.keys.owners._watched
