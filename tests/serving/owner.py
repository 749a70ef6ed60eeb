"""A process that owns keys: it sends what it is told on standard input, over one connection, until it is killed.

A line is a request, or `{"do": …}`: `close` the connection, `send` a request and
do not wait for the reply, have a `thread` or a forked `child` send a request.
"""

import json
import os
import sys
import threading
from typing import Any

from wire_line import WireLine


def main() -> None:
    endpoint = sys.argv[1]
    line = WireLine(endpoint)
    for text in sys.stdin:
        request = json.loads(text)
        match request.pop("do", None):
            case None:
                reply = line.ask(request)
            case "send":
                line.send(request)
                reply = {}
            case "close":
                line.close()
                reply = {}
            case "thread":
                reply = _in_a_thread(endpoint, request)
            case "child":
                reply = {"pid": _fork(endpoint, request)}
        print(json.dumps(reply), flush=True)


def _in_a_thread(endpoint: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return the reply to a request of a thread, which has ended."""
    replies = []

    def ask() -> None:
        with WireLine(endpoint) as line:
            replies.append(line.ask(request))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return replies[0]


def _fork(endpoint: str, request: dict[str, Any]) -> int:
    """Fork a child that has this process's connection, and sends a request over one of its own, if there is any."""
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        if request:
            WireLine(endpoint).ask(request)
        os.write(done, b"x")
        os.close(done)
        threading.Event().wait()
    os.close(done)
    os.read(ready, 1)
    os.close(ready)
    return pid


if __name__ == "__main__":
    main()
