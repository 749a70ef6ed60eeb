"""The limit of reads through libzmq: a REP socket that answers with the bytes of kvd's reply and does nothing else."""

import multiprocessing
from pathlib import Path

import zmq

from peers.kvd import PlainSession
from peers.peer import VALUE, Peer, Session

_REPLY = b'{"ok":true,"value":%s,"revision":1}' % VALUE


class Echo(Peer):
    """pyzmq's fastest server in one thread."""

    name = "REP echo"
    limit = True
    workloads = ("read",)

    def start(self, directory: Path) -> None:
        self._endpoint = f"ipc://{directory}/s.sock"
        self._process = multiprocessing.get_context("fork").Process(target=_serve, args=[self._endpoint], daemon=True)
        self._process.start()

    def load(self) -> None:
        pass

    def connect(self) -> Session:
        return PlainSession(self._endpoint)

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()


def _serve(endpoint: str) -> None:
    socket = zmq.Context().socket(zmq.REP)
    socket.bind(endpoint)
    while True:
        socket.recv()
        socket.send(_REPLY)
