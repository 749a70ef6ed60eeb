"""Locks and queues that are broken on purpose, as many a program has them: by leases that run out, and by pop."""

import os
import queue
import time
from contextlib import suppress

from kvclient import KeyExistsError, KeyNotFoundError, RevisionMismatchError
from kvclient.recipes.queue import Job

_LEASE_SECONDS = 0.05


class LeaseLock:
    """Free when its time is up, whether or not its holder is done. One who is stopped is not alone when he goes on."""

    def __init__(self, store, name, shared=1):
        self._store = store
        self._keys = [f"lease:{name}:{place}" for place in range(shared)]
        self._key = None
        self.revision = None

    def acquire(self):
        while True:
            for key in self._keys:
                try:
                    self.revision = self._store.create(key, os.getpid(), ttl=_LEASE_SECONDS)
                except KeyExistsError:
                    continue
                self._key = key
                return True
            time.sleep(0.002)

    def release(self):
        with suppress(RevisionMismatchError):
            self._store.delete(self._key, if_revision=self.revision)


class _Queue:
    def __init__(self, store, name):
        self._store = store
        self._prefix = f"broken:{name}:"

    def put(self, value):
        self._store.create(f"{self._prefix}{time.time_ns()}", value)

    def get(self, wait):  # noqa: ARG002
        for key in self._store.list(self._prefix, limit=50):
            job = self._take(key)
            if job is not None:
                return job
        time.sleep(0.002)
        raise queue.Empty

    def size(self):
        return self._store.count(self._prefix)


class PoppingQueue(_Queue):
    """Removes a job when it is taken. What a worker has that dies is lost."""

    def _take(self, key):
        try:
            value = self._store.pop(key)
        except KeyNotFoundError:
            return None
        return Job(key, value, 0, time.monotonic_ns(), last=False)

    def done(self, job):
        pass


class LeasedQueue(_Queue):
    """Gives a job to the next worker when its time is up, whether or not the first one still works on it."""

    def _take(self, key):
        try:
            revision = self._store.create(f"claim:{key}", os.getpid(), ttl=_LEASE_SECONDS)
            return Job(key, self._store.read(key), 0, revision, last=False)
        except (KeyExistsError, KeyNotFoundError):
            return None

    def done(self, job):
        with suppress(KeyNotFoundError):
            self._store.delete(job.id)
