"""Watching: every change is told, once and in order, whatever becomes of the daemon, the calls and the caller."""

import asyncio
import threading

import pytest

from kvclient import AsyncClient, Client, Event, RequestTimeoutError, RevisionGoneError
from kvclient.client.asynchronous import MOST_CONNECTIONS
from kvclient.contract.results import Told
from kvclient.contract.watching import Watch
from processes import wait_until


def told(events):
    return [(event.kind, event.key, event.value, event.previous) for event in events]


async def until_waiting(store, count):
    """Return when so many watches wait in the daemon."""
    while (await store.status())["watchers"] != count:
        pass


def take(events, count):
    return [next(events) for _ in range(count)]


class TestEvents:
    def test_changes_after_the_call_are_told_though_next_comes_later(self, face, key):
        """The call itself is the moment from which on nothing is missed."""
        face.create(f"{key}before", 1)
        with face.watch(key) as events:
            face.create(key, 1)
            face.put(f"y{key}", 1)
            face.put(key, [2])
            face.delete(key)
            revision = face.put(key, None)

            found = take(events, 4)

        assert [
            ("created", key, 1, None),
            ("updated", key, [2], 1),
            ("deleted", key, None, [2]),
            ("created", key, None, None),
        ] == told(found)
        assert revision == found[-1].revision
        assert sorted({event.revision for event in found}) == [event.revision for event in found]

    def test_after_a_revision_all_since_then_are_told(self, face, key):
        """Such as that of an event, an entry, or a change."""
        first = face.create(key, 1)
        face.put(key, 2)
        face.put(key, 3)

        events = face.watch(key, after=first)

        assert [2, 3] == [event.value for event in take(events, 2)]

    def test_a_batch_is_told_with_one_revision(self, face, key):
        """So a reader can tell what was done in one step."""
        with face.watch(key) as events:
            revision = face.batch_create({f"{key}a": 1, f"{key}b": 2})

            assert [revision, revision] == [event.revision for event in take(events, 2)]

    def test_next_waits_for_a_change(self, face, key):
        """In another thread."""
        events = face.watch(key)
        found = []
        waiting = threading.Thread(target=lambda: found.append(next(events)))
        waiting.start()
        face.create(key, 1)
        waiting.join(timeout=60)

        assert [("created", key, 1, None)] == told(found)

    def test_expiry_is_told(self, face, key):
        """When the removal is recorded, a moment after it."""
        with face.watch(key) as events:
            face.create(key, 1, ttl=0.05)

            assert [("created", key, 1, None), ("expired", key, None, 1)] == told(take(events, 2))


def test_a_restart_of_the_daemon_makes_no_difference(daemon):
    """What is changed behind it is told, and nothing twice."""
    store = Client(daemon.endpoint, timeout=60)
    with store.watch() as events:
        store.create("key1", 1)
        assert "key1" == next(events).key
        found = []
        waiting = threading.Thread(target=lambda: found.extend(take(events, 2)))
        waiting.start()
        wait_until(lambda: store.status()["watchers"] == 1)
        daemon.kill()
        daemon.start()
        store.create("key2", 2)
        store.create("key3", 3)
        waiting.join(timeout=60)

    assert [("created", "key2", 2, None), ("created", "key3", 3, None)] == told(found)


def test_asynchronously_a_restart_makes_no_difference(daemon):
    """A wait of half a minute ends when the daemon does, and goes on with the next one."""

    async def main():
        async with AsyncClient(daemon.endpoint, timeout=60) as store, await store.watch() as events:
            await store.create("key1", 1)
            assert "key1" == (await anext(events)).key
            waiting = asyncio.create_task(anext(events))
            await until_waiting(store, 1)
            daemon.kill()
            await asyncio.to_thread(daemon.start)
            await store.create("key2", 2)
            return await waiting

    assert [("created", "key2", 2, None)] == told([asyncio.run(main())])


def test_a_wait_that_is_cancelled_leaves_nothing_behind(daemon, key):
    """Neither a watch in the daemon nor a gap in what is told."""

    async def main():
        found = []
        async with AsyncClient(daemon.endpoint, timeout=60) as store, await store.watch(key) as events:
            for number in range(5):
                waiting = asyncio.create_task(anext(events))
                await until_waiting(store, 1)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                await until_waiting(store, 0)
                await store.put(key, number)
                await store.put(key, -number)
                found += [(await anext(events)).value for _ in range(2)]
        return found

    assert [0, 0, 1, -1, 2, -2, 3, -3, 4, -4] == asyncio.run(main())


def test_those_who_wait_take_nobodys_turn(daemon, key):
    """More watches than an AsyncClient has requests under way, and it still answers."""

    async def main():
        async with AsyncClient(daemon.endpoint, timeout=60) as store:
            watches = [await store.watch(key) for _ in range(MOST_CONNECTIONS + 5)]
            waiting = [asyncio.create_task(anext(events)) for events in watches]
            await until_waiting(store, len(watches))
            await store.create(key, 1)
            return await asyncio.gather(*waiting)

    assert [("created", key, 1, None)] * (MOST_CONNECTIONS + 5) == told(asyncio.run(main()))


def event(revision):
    return Event("updated", "key1", revision, None, revision, 0.0)


class Script:
    """Answers the calls of a watch one after the other, with what a daemon told or an error."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, call):
        self.requests.append(call.request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_it_asks_on_from_the_revision_of_the_last_answer():
    """Also where there was nothing to tell: changes of other keys need not be looked at again."""
    script = Script(Told([], 5), Told([], 8), Told([event(9), event(11)], 12), Told([event(13)], 13))
    watch = Watch(script, "key", None)

    assert [9, 11, 13] == [each.revision for each in take(watch, 3)]
    assert [
        b'{"op":"watch","prefix":"key","wait":0.0}',
        b'{"op":"watch","prefix":"key","after":5,"wait":30.0}',
        b'{"op":"watch","prefix":"key","after":8,"wait":30.0}',
        b'{"op":"watch","prefix":"key","after":12,"wait":30.0}',
    ] == script.requests


def test_an_error_is_raised_and_the_next_next_goes_on():
    """A daemon that stays away for long costs no event."""
    script = Script(Told([], 5), RequestTimeoutError("No answer."), Told([event(6)], 6))
    watch = Watch(script, "", None)

    with pytest.raises(RequestTimeoutError):
        next(watch)
    assert 6 == next(watch).revision
    assert script.requests[1] == script.requests[2]


@pytest.mark.parametrize("answers", [[RevisionGoneError("Gone.")], [Told([], 5), RevisionGoneError("Gone.")]])
def test_changes_that_are_no_longer_kept_are_an_error(answers):
    """At the call or later."""

    def watch():
        next(Watch(Script(*answers), "", 3))

    with pytest.raises(RevisionGoneError, match="Gone"):
        watch()


def test_a_closed_watch_is_at_its_end():
    """Whatever was told and not handed out yet."""
    watch = Watch(Script(Told([event(1), event(2)], 2)), "", 0)
    next(watch)
    watch.close()

    assert [] == list(watch)


def test_waiting_for_an_event_for_some_time(shared_daemon, key):
    """`within` returns the next event, and None if there is none in time; nothing is missed."""
    with Client(shared_daemon.endpoint) as store, store.watch(key) as events:
        assert events.within(0) is None
        assert events.within(0.01) is None
        store.create(key, 1)
        store.delete(key)
        assert ["created", "deleted"] == [events.within(30).kind, events.within(0).kind]
        assert events.within(0) is None
