"""Waiting long for a reply over a socket of libzmq, which by itself does not tell that the daemon has gone."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import zmq
import zmq.asyncio

_LOSS = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_numbers = itertools.count(1)


class LineLost(Exception):
    """The daemon, or the connection to it, has gone; so has the request that it had not answered."""


async def ask_unless_lost(
    socket: zmq.asyncio.Socket, context: "zmq.Context[zmq.Socket[bytes]]", request: bytes
) -> bytes:
    """Send a request and return its reply. Raises `LineLost` as soon as none can come any more.

    libzmq connects again without a word, and a REQ socket would wait forever for the answer to what it had sent before.
    """
    with _monitor(socket, context) as monitor:
        losing = asyncio.ensure_future(monitor.recv_multipart())
        await socket.send(request)
        receiving = asyncio.ensure_future(socket.recv())
        try:
            await asyncio.wait({losing, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                raise LineLost
            return receiving.result()
        finally:
            losing.cancel()
            receiving.cancel()


@contextmanager
def _monitor(socket: zmq.asyncio.Socket, context: "zmq.Context[zmq.Socket[bytes]]") -> Iterator[zmq.asyncio.Socket]:
    """Yield a socket that receives a message when the line of `socket` is lost."""
    address = f"inproc://kvd-parked-{next(_numbers)}"
    socket.monitor(address, _LOSS)
    monitor = zmq.asyncio.Socket(context, zmq.PAIR)
    try:
        monitor.connect(address)
        yield monitor
    finally:
        socket.disable_monitor()
        monitor.close(linger=0)
