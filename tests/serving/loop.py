"""The backend in the daemon's loop, without sockets: what is sent together is one group."""

import json

from kvd.backend.file.backend import FileBackend
from kvd.backend.file.engine.file import JsonFile
from kvd.limits import CompactWhen, Limits
from kvd.processes import named_process, this_process
from kvd.replies import refusal
from kvd.worker import Wakeup


class Peer:
    """Who asks, and is told."""

    def __init__(self):
        self.replies = []
        self.reads = 0

    def reply(self, body):
        self.replies.append(json.loads(body))

    def refuse(self, error):
        self.reply(refusal(error))

    def owner(self, pid):
        return named_process(pid, this_process().uid)


class Loop:
    """A backend on a data file, and the daemon's loop around it. What is sent together is one group."""

    def __init__(self, path, sync="never"):
        self.wakeup = Wakeup()
        self.engine = JsonFile(path, sync=sync, max_file_bytes=1 << 30)
        self.backend = FileBackend(self.engine, Limits(), CompactWhen(), self.wakeup, sync=sync)
        self.store, self.committer = self.backend._store, self.backend._committer

    def work(self, *, stopping=False):
        self.wakeup.handle()
        return self.backend.work(stopping=stopping)

    def ask(self, *operations):
        """Send operations, and return who waits for the replies."""
        peers = [Peer() for _ in operations]
        for peer, operation in zip(peers, operations, strict=True):
            self.ask_as(peer, operation)
        return peers

    def ask_as(self, peer, operation):
        """Send an operation."""
        if operation.declared.does == "change":
            self.backend.submit(operation, peer, 10)
        else:
            self.backend.read(operation, peer, 10)

    def send(self, *operations):
        """Return the reply to each operation."""
        peers = self.ask(*operations)
        self.work()
        return [reply for peer in peers for reply in peer.replies]

    def work_off(self):
        """Do all that is due, without waiting for any of it."""
        while self.work() == 0:
            pass

    def close(self):
        self.backend.close()
        self.wakeup.close()
