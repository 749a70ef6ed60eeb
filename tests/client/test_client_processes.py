"""One `Client` in many threads and processes: after fork and spawn, pickled, and at the end of the interpreter."""

import gc
import pickle
import socket
import threading
import warnings

import pytest

from kvclient import Client, KeyExistsError
from kvclient.client.connection import Connection
from kvclient.client.line import Socket
from kvclient.contract import calls


def test_threads_share_a_client(store, key):
    """Each of many threads gets the answers to its own requests."""
    wrong = []

    def work(thread):
        for number in range(50):
            store.create(f"{key}-{thread}-{number}", [thread, number])
            if store.read(f"{key}-{thread}-{number}") != [thread, number]:
                wrong.append((thread, number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == wrong
    assert all(store.read(f"{key}-{thread}-49") == [thread, 49] for thread in range(16))


def test_a_threads_connection_goes_with_the_thread(store, key):
    """Threads that come and go leave no socket open."""
    store.create(key, 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(20):
            thread = threading.Thread(target=store.read, args=(key,))
            thread.start()
            thread.join()
        gc.collect()

    assert [] == [str(warning.message) for warning in caught if warning.category is ResourceWarning]


def test_a_forgotten_connection_closes_its_socket(shared_daemon, monkeypatch):
    """Also one that refers to itself, with a socket that is older and that the collector finds first."""
    older = [Socket(socket.AF_UNIX)]
    connection = Connection(Client(shared_daemon.endpoint)._target)
    connection.ask(calls.ping().request, 5, changes=False)
    connection.close()
    with monkeypatch.context() as patch:
        patch.setattr("kvclient.client.connection.Socket", lambda _family: older.pop())
        connection.ask(calls.ping().request, 5, changes=False)
    connection.itself = connection
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del connection
        gc.collect()

    assert [] == [str(warning.message) for warning in caught]


NO_DESCRIPTORS = """
import resource, sys
from kvclient import Client, DataStoreError
store = Client(sys.argv[1])
store.ping()
store._connection().close()
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    store.ping()
except DataStoreError as error:
    print(error)
"""


def test_a_client_that_gets_no_socket_says_only_that(python, shared_daemon):
    """Nothing of a socket that was never there."""
    assert "Too many open files" in python(NO_DESCRIPTORS, shared_daemon.endpoint)


def test_a_closed_client_connects_again(shared_daemon, key):
    """`with` closes the connection; another call opens one."""
    with Client(shared_daemon.endpoint) as store:
        store.create(key, 1)

    assert 1 == store.read(key)
    store.close()
    store.close()


def test_a_client_can_be_pickled(shared_daemon, key):
    """A pickled client talks to the same daemon with the same timeout, on connections of its own."""
    store = Client(shared_daemon.endpoint, timeout=7)
    store.create(key, 1)

    twin = pickle.loads(pickle.dumps(store))

    assert (store.endpoint, 7) == (twin.endpoint, twin.timeout)
    assert 1 == twin.read(key)
    with pytest.raises(KeyExistsError):
        twin.create(key, 2)


PRELOADED = """
import multiprocessing, sys, warnings
from kvclient import Client, KeyExistsError
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork beside threads, such as ZeroMQ's
method, endpoint, key = sys.argv[1:]
store = Client(endpoint)

def work(number):
    for step in range(20):
        store.create(f"{key}-{number}-{step}", [number, step])
        assert store.read(f"{key}-{number}-{step}") == [number, step]
    try:
        store.create(key, number)
    except KeyExistsError:
        return False
    return True

if __name__ == "__main__":
    store.create(f"{key}-parent", 0)  # connected before the fork
    with multiprocessing.get_context(method).Pool(4) as pool:
        won = pool.map(work, range(8), chunksize=1)
    assert won.count(True) == 1, won
    assert store.read(f"{key}-parent") == 0  # the parent's connection still works
    store.create(f"{key}-after", 1)
    print("fine")
"""


def test_a_client_used_before_a_fork_serves_parent_and_children(python, shared_daemon, key):
    """As a preloading web server does it: connected in the parent, used in all workers and then in the parent."""
    assert "fine" == python(PRELOADED, "fork", shared_daemon.endpoint, key)


def test_spawned_processes_make_the_client_anew(directory, python, shared_daemon, key):
    """Multiprocessing's spawn imports the program in each process, and with it the client."""
    (directory / "program.py").write_text(PRELOADED)
    start = "import os, runpy, sys; os.chdir(sys.argv.pop(1)); runpy.run_path('program.py', run_name='__main__')"

    assert "fine" == python(start, directory, "spawn", shared_daemon.endpoint, key)


def test_a_client_is_passed_to_spawned_processes(python, shared_daemon, key):
    """A client, and its methods, can be an argument of a call in another process."""
    assert "fine" == python(PASSED, shared_daemon.endpoint, key)


PASSED = """
import multiprocessing, sys
from kvclient import Client

if __name__ == "__main__":
    store = Client(sys.argv[1])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(store.create, (sys.argv[2] + "-passed", 1))
    assert store.read(sys.argv[2] + "-passed") == 1
    print("fine")
"""

END = """
import sys, threading
from kvclient import Client
store = Client(sys.argv[1], timeout=60)
store.ping()
def forever():
    while True:
        store.ping()
for _ in range(4):
    threading.Thread(target=forever, daemon=True).start()
{how}
"""


@pytest.mark.parametrize("how", ["pass", "sys.exit()", "store.close()"])
def test_the_interpreter_ends_with_open_connections(python, shared_daemon, how):
    """A program that ends while its threads are in the middle of requests ends at once, without a word."""
    assert "" == python(END.format(how=how), shared_daemon.endpoint)
