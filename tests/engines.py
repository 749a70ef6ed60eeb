"""The engine on a data file in this process, without a store above it: commits as a test wants them."""

from kvd.backend.file.engine.file import JsonFile
from kvd.backend.file.engine.interface import NEVER, Commit, Owner, Put, Removal

OWNER = Owner(4711, 81923, "1f6b2a44-9c0d-4e77-8a55-3d1f0c9be2a1", 1000)


class OpenedEngine:
    """An engine on the file at `path`; each call is one commit."""

    def __init__(self, path, **options):
        self.path = path
        self.engine = JsonFile(path, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.engine.close()

    def commit(self, *changes, revision=None, at=1_800_000_000.0, outcomes=None, clear=None, cleared=None):
        """Commit changes, which bring the store to the latest of their revisions unless `revision` tells another."""
        if revision is None:
            revision = max([change.revision for _, change in changes] + [self.engine.revision])
        commit = Commit(revision, at, list(changes), outcomes or {}, clear, cleared)
        staged = self.engine.stage(commit)
        self.engine.write(staged)
        self.engine.apply(staged)

    def compact(self, outcomes=None, now=0.0, keys=None):
        for job in self.engine.compact(now, outcomes or {}, keys):
            if job is not None:
                job.run()

    def state(self):
        """Return the value and the revision of each key."""
        found = {}
        for key in self.engine._index.keys():  # noqa: SIM118
            entry = self.engine.find(key)
            found[key] = (self.engine.read(entry), entry.revision)
        return found

    def events(self, after):
        return [event for event in self.engine.history(after) if event is not None]

    def crash(self):
        """Leave the file as a process that is killed leaves it."""
        self.engine.abandon()


def put(key, value, revision, expires_at=NEVER, owner=None):
    return key, Put(value, revision, expires_at, owner)


def remove(key, revision, kind="deleted"):
    return key, Removal(revision, kind)
