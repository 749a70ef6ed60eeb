"""The tests that cachelib has for all its caches, from an unpacked sdist of cachelib, against kvd.

`test_upstream` puts this file, as a test, beside them.
"""

from itertools import count

import pytest
from clear import ClearTests
from common import CommonTests
from delete_many_with_prefix import DeleteManyWithPrefixTests
from has import HasTests

from kvclient.adapters.cachelib import KvdCache

_numbers = count(1)


@pytest.fixture(autouse=True)
def _cache_factory(request, kvd_endpoint, kvd_store):
    """Caches of their tests; the samples have names that are no strings, and so need pickle."""
    assert kvd_store.count() == 0

    def cache_factory(_, *args, **options):
        options.setdefault("key_prefix", f"cache{next(_numbers)}:")
        return KvdCache(kvd_endpoint, *args, pickle=True, timeout=30, **options)

    request.cls.cache_factory = cache_factory


class TestKvdCache(CommonTests, ClearTests, HasTests, DeleteManyWithPrefixTests):
    """Their tests, each of which stands for itself."""
