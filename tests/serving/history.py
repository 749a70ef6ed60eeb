"""Recording what concurrent clients ask for and are told."""

import itertools
import math
import random
import time
from pathlib import Path

from linearizability import ABSENT, UNKNOWN, Operation

from kvclient import Client, KeyExistsError, KeyNotFoundError, RequestTimeoutError

KEYS = ["key1", "key2", "key3"]


def record_until(endpoint: str, number: int, until: Path) -> list[Operation]:
    """Create, read and delete a few keys at random until the file exists; return what happened, with the times."""
    chance = random.Random(number)
    history = []
    with Client(endpoint, timeout=60) as store:
        for turn in itertools.count(1):
            if until.exists():
                return history
            key, action = chance.choice(KEYS), chance.choice(["create", "read", "read", "delete"])
            value = 1_000_000 * number + turn if action == "create" else None
            called = time.monotonic()
            result = _perform(store, key, action, value)
            returned = math.inf if result == UNKNOWN else time.monotonic()
            history.append(Operation(key, action, value, result, called, returned))
    raise AssertionError


def _perform(store: Client, key: str, action: str, value: int | None) -> object:
    try:
        match action:
            case "read":
                return store.read(key)
            case "create":
                store.create(key, value)
            case _:
                store.delete(key)
    except KeyNotFoundError:
        return ABSENT if action == "read" else False
    except KeyExistsError:
        return False
    except RequestTimeoutError:
        return UNKNOWN
    return True
