"""The tests that py-key-value has for all its stores, from a checkout of py-key-value, against kvd.

`test_upstream` puts this file, as a test, beside them.
"""

import pytest
from tests.stores.base import BaseStoreTests, ContextManagerStoreTestMixin

from kvclient.adapters.key_value import KvdStore


class TestKvdStore(ContextManagerStoreTestMixin, BaseStoreTests):
    """Their tests, each of which stands for itself."""

    @pytest.fixture
    async def store(self, kvd_store, kvd_endpoint):
        assert kvd_store.count() == 0
        return KvdStore(kvd_endpoint, timeout=30)

    @pytest.mark.skip(reason="a store of kvd is unbounded, as those of Redis and others are")
    async def test_not_unbounded(self, store):
        pass
