"""`AsyncClient`: the same store for asyncio, with many calls at once and calls that are cancelled."""

import asyncio
import contextlib
import gc
import os
import pickle
import resource
import signal
import socket
import sys
import threading
import warnings

import pytest
import zmq
import zmq.asyncio

from kvclient import AsyncClient, DaemonUnavailableError, KeyExistsError, KeyNotFoundError, RequestTimeoutError
from kvclient.client import async_connection
from kvclient.client.asynchronous import MOST_CONNECTIONS
from kvclient.client.line import Socket


def test_the_operations(shared_daemon, key):
    """Values come back, and refusals are the named errors."""

    async def main():
        async with AsyncClient(shared_daemon.endpoint) as store:
            revision = await store.create(key, {"name": "😀"}, ttl=500)
            assert {"name": "😀"} == await store.read(key)
            entry = await store.entry(key)
            assert (key, {"name": "😀"}, revision) == entry[:3]
            assert entry.expires_at is not None
            with pytest.raises(KeyExistsError):
                await store.create(key, 2)
            assert revision + 1 == await store.batch_create({f"{key}a": 1, f"{key}b": 2})
            assert revision + 2 == await store.delete(key)
            with pytest.raises(KeyNotFoundError):
                await store.read(key)
            await store.ping()
            assert shared_daemon.process.pid == (await store.status())["pid"]
            await store.compact()

    asyncio.run(main())


def test_many_tasks_at_once_get_their_own_answers(shared_daemon, key):
    """More calls than connections, all on one client."""

    async def one(store, number):
        await store.create(f"{key}-{number}", number)
        with pytest.raises(KeyExistsError):
            await store.create(f"{key}-{number}", -1)
        return await store.read(f"{key}-{number}")

    async def main():
        async with AsyncClient(shared_daemon.endpoint, timeout=60) as store:
            return await asyncio.gather(*(one(store, number) for number in range(10 * MOST_CONNECTIONS)))

    assert list(range(10 * MOST_CONNECTIONS)) == asyncio.run(main())


def test_a_cancelled_call_never_hands_its_reply_to_the_next(shared_daemon, key):
    """Calls are cancelled at any moment of their way; every call that is not gets its own answer."""

    async def main():
        async with AsyncClient(shared_daemon.endpoint, timeout=60) as store:
            await store.batch_create({f"{key}-{number}": number for number in range(100)})
            for moment in range(60):
                cancelled = [asyncio.create_task(store.read(f"{key}-{number}")) for number in range(50)]
                for _ in range(moment % 12):
                    await asyncio.sleep(0)
                for task in cancelled[moment % 3 :: 2]:
                    task.cancel()
                answers = await asyncio.gather(*(store.read(f"{key}-{number}") for number in range(50, 100)))
                assert list(range(50, 100)) == answers
                for number, task in enumerate(cancelled):
                    try:
                        assert number == await task
                    except asyncio.CancelledError:
                        assert task.cancelled()

    asyncio.run(main())


def test_a_cancelled_change_is_carried_out_at_most_once(shared_daemon, key):
    """What was cancelled is there or not, and what follows on the same connections is not mistaken for it."""

    async def main():
        async with AsyncClient(shared_daemon.endpoint, timeout=60) as store:
            for number in range(100):
                task = asyncio.create_task(store.create(f"{key}-c{number}", number))
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                task.cancel()
                await store.create(f"{key}-d{number}", number)
                assert number == await store.read(f"{key}-d{number}")
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_a_daemon_that_hangs_ends_in_timeouts(daemon):
    """All calls end, those that were sent and those that waited for their turn, and the client recovers."""

    async def main():
        async with AsyncClient(daemon.endpoint, timeout=0.5) as store:
            await store.create("key1", 1)
            daemon.process.send_signal(signal.SIGSTOP)
            results = await asyncio.gather(
                *(store.create(f"key-{number}", number) for number in range(2 * MOST_CONNECTIONS)),
                *(store.read("key1") for _ in range(10)),
                return_exceptions=True,
            )
            daemon.process.send_signal(signal.SIGCONT)
            assert {RequestTimeoutError} == {type(result) for result in results}
            told = [str(result) for result in results]
            assert all(" 0.5 s" in each for each in told)
            assert all(("may have been carried out" in each) != ("Nothing was changed." in each) for each in told)
            assert sum("may have been carried out" in each for each in told) >= MOST_CONNECTIONS
            assert all("Nothing was changed." in each for each in told[-10:])
            store.timeout = 30
            assert 1 == await store.read("key1")

    asyncio.run(main())


def test_calls_live_through_a_restart(daemon):
    """Calls under way when the daemon is killed are repeated to the next one, and carried out once."""

    async def main():
        async with AsyncClient(daemon.endpoint, timeout=60) as store:
            await asyncio.gather(*(store.create(f"before-{number}", number) for number in range(20)))
            daemon.process.send_signal(signal.SIGSTOP)
            calls = [asyncio.create_task(store.create(f"key-{number}", number)) for number in range(20)]
            await asyncio.sleep(0)
            daemon.kill()
            await asyncio.to_thread(daemon.start)
            assert list(range(21, 41)) == sorted(await asyncio.gather(*calls))

    asyncio.run(main())


def test_nobody_listens(directory):
    """The same error as Client's, without a daemon being started."""

    async def main():
        async with AsyncClient(f"ipc://{directory}/nobody.sock", timeout=0.1) as store:
            with pytest.raises(DaemonUnavailableError):
                await store.read("key1")

    asyncio.run(main())


def test_an_ipv6_address():
    """It is as good as any other."""

    async def main():
        with zmq.asyncio.Context() as context, context.socket(zmq.REP) as peer:
            peer.setsockopt(zmq.LINGER, 0)
            peer.setsockopt(zmq.IPV6, 1)
            try:
                port = peer.bind_to_random_port("tcp://[::1]", max_tries=1)
            except zmq.ZMQError as error:
                pytest.skip(f"no IPv6 here: {error}")
            async with AsyncClient(f"tcp://[::1]:{port}", timeout=20) as store:
                pinging = asyncio.create_task(store.ping())
                assert b'{"op":"ping"}' == await asyncio.wait_for(peer.recv(), 20)
                await peer.send(b'{"ok":true}')
                await pinging

    asyncio.run(main())


MANY = """
import asyncio, resource, sys
from kvclient import AsyncClient
from kvclient.client.asynchronous import MOST_CONNECTIONS
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

async def main():
    stores = [AsyncClient(sys.argv[1], timeout=60) for _ in range(17)]
    await asyncio.gather(*(store.ping() for store in stores for _ in range(MOST_CONNECTIONS)))
    for store in stores:
        await store.close()

asyncio.run(main())
"""


def test_many_connections(python, shared_daemon):
    """Several clients together may have more than a thousand."""
    assert "" == python(MANY, shared_daemon.endpoint)


def test_no_more_sockets(daemon):
    """DaemonUnavailableError if it is so from the start; after a request was sent, that may have been carried out."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def main():
        async with AsyncClient(daemon.endpoint) as store, AsyncClient(daemon.endpoint) as another:
            await store.ping()
            daemon.freeze()
            creating = asyncio.create_task(store.create("key1", 1))
            await asyncio.sleep(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
            with pytest.raises(RequestTimeoutError, match=r"Too many open files\. .* may have been carried out"):
                await creating
            with pytest.raises(DaemonUnavailableError, match="cannot be reached: Too many open files"):
                await another.create("key1", 1)

    try:
        asyncio.run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


async def until(condition):
    while not condition():  # noqa: ASYNC110  # the kernel has no asyncio.Event
        await asyncio.sleep(0.001)


def test_calls_that_are_cancelled_take_no_more_connections(shared_daemon):
    """Those of the next ones are opened when theirs are closed, though all happens at once."""

    async def main():
        async with AsyncClient(shared_daemon.endpoint, timeout=60) as store:
            before, most = descriptors(), 0
            for _ in range(20):
                calls = [asyncio.create_task(store.ping()) for _ in range(2 * MOST_CONNECTIONS)]
                for _ in range(10):
                    await asyncio.sleep(0)
                    most = max(most, descriptors())
                for call in calls:
                    call.cancel()
            await asyncio.wait(calls)
            assert before + MOST_CONNECTIONS // 2 < most <= before + MOST_CONNECTIONS
            await store.close()
            assert before == descriptors()

    asyncio.run(main())


def test_a_client_that_is_dropped_closes_its_connections(shared_daemon):
    """While its event loop goes on, and without a word."""

    async def main():
        before = descriptors()
        store = AsyncClient(shared_daemon.endpoint)
        await asyncio.gather(*(store.ping() for _ in range(10)))
        assert before < descriptors()
        del store
        gc.collect()
        assert before == descriptors()

    asyncio.run(main())


def test_a_client_that_outlives_its_loop_closes_its_connections(shared_daemon, monkeypatch):
    """Also one that refers to itself, with a socket that is older and that the collector finds first."""
    older = [Socket(socket.AF_UNIX)]
    store = AsyncClient(shared_daemon.endpoint)
    store.itself = store

    async def main(store):
        with monkeypatch.context() as patch:
            patch.setattr("kvclient.client.async_connection.Socket", lambda _family: older.pop())
            await store.ping()

    asyncio.run(store.ping())
    asyncio.run(main(store))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del store
        gc.collect()

    assert [] == [str(warning.message) for warning in caught]


def test_a_daemon_that_ends_is_noticed_by_idle_connections(daemon):
    """They close, so that the next calls go to the next daemon at once."""

    async def main():
        async with AsyncClient(daemon.endpoint) as store:
            before = descriptors()
            await asyncio.gather(*(store.ping() for _ in range(10)))
            daemon.kill()
            await until(lambda: descriptors() == before)

    asyncio.run(main())


def test_a_fork_leaves_the_connections_to_the_parent(daemon):
    """The child gets its own, and the parent's go on: no request has to be repeated."""

    async def main():
        async with AsyncClient(daemon.endpoint, timeout=60) as store:
            await store.create("key1", 1)
            pid = os.fork()
            if not pid:
                status = 1
                try:
                    status = 0 if asyncio.run(store.read("key1")) == 1 else 1
                finally:
                    os._exit(status)
            assert 0 == (await asyncio.to_thread(os.waitpid, pid, 0))[1]
            assert 1 == await store.read("key1")
            return (await store.stats())["operations"], (await store.status())["peers"]

    operations, peers = asyncio.run(main())
    assert 2 == operations["read"]
    assert 1 == peers


def test_a_reply_to_nothing_ends_the_connection(directory):
    """It must not be taken for that to the next request."""

    async def main():
        with zmq.asyncio.Context() as context, context.socket(zmq.ROUTER) as peer:
            peer.setsockopt(zmq.LINGER, 0)
            peer.bind(f"ipc://{directory}/other.sock")
            async with AsyncClient(f"ipc://{directory}/other.sock", timeout=20) as store:
                for revision in (1, 2):
                    creating = asyncio.create_task(store.create("key1", 1))
                    name, *_ = await peer.recv_multipart()
                    before = descriptors()
                    for told in (revision, 100, 101):
                        await peer.send_multipart([name, b"", b'{"ok":true,"revision":%d}' % told])
                    assert revision == await creating
                    await until(lambda before=before: descriptors() < before)

    asyncio.run(main())


def test_a_peer_that_hangs_up_before_it_is_greeted(directory, monkeypatch):
    """The call ends in time, as with any peer that hangs up."""

    def hang_up(*_, **__):
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()

    async def main():
        async with AsyncClient(f"ipc://{directory}/other.sock", timeout=0.5) as store:
            with pytest.raises(RequestTimeoutError, match="No answer"):
                await asyncio.wait_for(store.ping(), 20)

    with socket.create_server(f"{directory}/other.sock", family=socket.AF_UNIX) as listener:
        listener.setblocking(False)
        monkeypatch.setattr(async_connection, "check_peer", hang_up)
        asyncio.run(main())


def test_libzmq_is_not_needed(python, shared_daemon):
    """The client speaks ZeroMQ's protocol itself."""
    program = """
import asyncio, sys
sys.modules["zmq"] = None
from kvclient import AsyncClient
print(asyncio.run(AsyncClient(sys.argv[1]).ping()))
"""
    assert "None" == python(program, shared_daemon.endpoint)


def test_waiting_for_a_daemon_does_not_hold_up_the_loop(directory, start_daemon):
    """While one call waits for the daemon to come, other tasks go on: here, the one that starts it."""

    async def main():
        async with AsyncClient(f"ipc://{directory}/store.sock", timeout=60, autostart=False) as store:
            creating = asyncio.create_task(store.create("key1", 1))
            await asyncio.sleep(0)
            await asyncio.to_thread(start_daemon)
            return await creating

    assert 1 == asyncio.run(main())


def test_looking_for_another_host_does_not_hold_up_the_loop(monkeypatch):
    """A host that does not answer is waited for in a thread."""
    threads = set()

    def connect(*_):
        threads.add(threading.current_thread())
        raise TimeoutError

    async def main():
        async with AsyncClient("tcp://host:7411", timeout=0.1) as store:
            await store.ping()

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(DaemonUnavailableError, match="No daemon listens on tcp://host:7411"):
        asyncio.run(main())

    assert threads
    assert threading.current_thread() not in threads


def test_one_event_loop_after_the_other(shared_daemon, key):
    """A client serves each asyncio.run anew, and a closed one connects again."""
    store = AsyncClient(shared_daemon.endpoint)
    asyncio.run(store.create(key, 1))

    assert 1 == asyncio.run(store.read(key))

    async def close_and_read():
        await store.close()
        value = await store.read(key)
        await store.close()
        return value

    assert 1 == asyncio.run(close_and_read())


def test_closing_lets_calls_under_way_finish(shared_daemon, key):
    """Their connections close when they are done."""

    async def main():
        store = AsyncClient(shared_daemon.endpoint, timeout=60)
        calls = [asyncio.create_task(store.create(f"{key}-{number}", number)) for number in range(50)]
        await asyncio.sleep(0)
        await store.close()
        return await asyncio.gather(*calls)

    assert 50 == len(asyncio.run(main()))


def test_it_can_be_pickled(shared_daemon, key):
    """As Client can: with its endpoint and timeout, without its connections."""
    store = AsyncClient(shared_daemon.endpoint, timeout=7)
    asyncio.run(store.create(key, 1))

    twin = pickle.loads(pickle.dumps(store))

    assert (store.endpoint, 7) == (twin.endpoint, twin.timeout)
    assert 1 == asyncio.run(twin.read(key))


def test_importing_kvclient_stays_cheap(python):
    """asyncio, pydantic and Typer are imported by those who use them."""
    program = "import sys, kvclient; print({'asyncio', 'zmq', 'pydantic', 'typer'} & set(sys.modules))"

    assert "set()" == python(program)
    assert "AsyncClient" in python("from kvclient import *; print(AsyncClient.__name__)")


def test_the_interpreter_ends_with_open_connections(python, shared_daemon):
    """A program that never closes its client ends without a word."""
    program = """
import asyncio, sys
from kvclient import AsyncClient
store = AsyncClient(sys.argv[1])
async def main():
    await asyncio.gather(*(store.ping() for _ in range(20)))
asyncio.run(main())
"""
    assert "" == python(program, shared_daemon.endpoint)


def test_an_unknown_name_is_none_of_kvclient():
    """The lazy import does not invent attributes."""
    assert not hasattr(sys.modules["kvclient"], "AsyncStore")
