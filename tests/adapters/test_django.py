"""Django's cache: what its documentation says of every backend, and what ours says of this one."""

import asyncio
import threading

import pytest

from kvclient import DaemonUnavailableError, InvalidValueError, StoreFullError
from processes import wait_until

pytest.importorskip("django", reason="Django is not installed")

from django.core.cache.backends.base import CacheKeyWarning, InvalidCacheBackendError

from kvclient.adapters.django import KvdCache


@pytest.fixture
def make(endpoint, key):
    """Make caches of one KEY_PREFIX, unless they are given another."""

    def make(location=endpoint, **params):
        options = {"timeout": 30, **params.pop("OPTIONS", {})}
        return KvdCache(location, {"KEY_PREFIX": key, "OPTIONS": options, **params})

    return make


@pytest.fixture
def cache(make):
    return make()


class TestOneKey:
    def test_set_and_get(self, cache):
        """What is not there is None, or the default; None can be stored."""
        cache.set("a", {"b": [1, None]})
        cache.set("none", None)

        assert {"b": [1, None]} == cache.get("a")
        assert None is cache.get("missing")
        assert 1 == cache.get("missing", 1)
        assert None is cache.get("none", 1)
        assert "none" in cache
        assert "missing" not in cache

    def test_add(self, cache):
        """Only what does not exist, and it says if it did."""
        assert cache.add("a", 1) is True
        assert cache.add("a", 2) is False
        assert 1 == cache.get("a")

    def test_delete(self, cache):
        """It says if there was something."""
        cache.set("a", 1)

        assert cache.delete("a") is True
        assert cache.delete("a") is False

    def test_get_or_set(self, cache):
        """A default is stored once; it can be computed."""
        assert 1 == cache.get_or_set("a", lambda: 1)
        assert 1 == cache.get_or_set("a", 2)

    def test_versions(self, cache, make):
        """Of one key, each has a value of its own; `incr_version` moves it."""
        cache.set("a", 1)
        cache.set("a", 2, version=2)

        assert (1, 2, 2) == (cache.get("a"), cache.get("a", version=2), make(VERSION=2).get("a"))
        assert 3 == cache.incr_version("a", version=2)
        assert (None, 2) == (cache.get("a", version=2), cache.get("a", version=3))


class TestTimeouts:
    def ttl(self, store, key):
        return store.entry(key).expires_at

    def test_of_values(self, cache, store, key):
        """The default is TIMEOUT, 300 s; None is never."""
        cache.set("default", 1)
        cache.set("never", 1, None)
        cache.set_many({"many": 1}, timeout=1000)

        default, many = self.ttl(store, f"django:{key}:1:default"), self.ttl(store, f"django:{key}:1:many")
        assert 650 < many - default < 750
        assert None is self.ttl(store, f"django:{key}:1:never")

    def test_expired_values_are_gone(self, cache):
        """And their keys free."""
        cache.set("a", 1, 0.05)
        wait_until(lambda: cache.get("a") is None)

        assert cache.add("a", 2)

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_that_have_passed(self, cache, timeout):
        """Nothing is stored, and what was is gone."""
        for change in (
            lambda: cache.set("a", 2, timeout),
            lambda: cache.set_many({"a": 2}, timeout),
            lambda: cache.touch("a", timeout),
        ):
            cache.set("a", 1)
            change()
            assert not cache.has_key("a")
        assert cache.add("a", 1, timeout) is True
        assert not cache.has_key("a")

    def test_touch(self, cache, store, key):
        """It says if there was something to touch."""
        cache.set("a", 1, 1000)

        assert cache.touch("a", None) is True
        assert None is self.ttl(store, f"django:{key}:1:a")
        assert cache.touch("missing") is False

    def test_of_a_cache_that_keeps_everything(self, make, store, key):
        """TIMEOUT None."""
        make(TIMEOUT=None).set("a", 1)

        assert None is self.ttl(store, f"django:{key}:1:a")


class TestCounting:
    def test_incr_and_decr(self, cache, store, key):
        """The timeout stays, and what is not there is a ValueError."""
        cache.set("n", 41, 1000)
        before = store.entry(f"django:{key}:1:n").expires_at

        assert (42, 40) == (cache.incr("n"), cache.decr("n", 2))
        assert before == store.entry(f"django:{key}:1:n").expires_at
        with pytest.raises(ValueError, match="'missing' not found"):
            cache.incr("missing")
        assert not cache.has_key("missing")

    def test_what_is_no_number(self, cache):
        """TypeError, as with Django's own."""
        cache.set("a", "text")
        with pytest.raises(TypeError):
            cache.incr("a")

    def test_numbers_that_are_pickled(self, make):
        """They count as well, and stay what they are."""
        cache = make(OPTIONS={"pickle": True})
        cache.set("n", 1 << 2000)

        assert (1 << 2000) + 1 == cache.incr("n") == cache.get("n")

    def test_nobodys_addition_is_lost(self, make, cache):
        """Of four threads, each with a cache of its own, asynchronous ones among them."""
        cache.set("n", 0)

        def add():
            mine = make()
            for _ in range(50):
                mine.incr("n")

        async def add_async():
            mine = make()
            for _ in range(50):
                await mine.aincr("n")

        threads = [threading.Thread(target=add) for _ in range(3)]
        threads.append(threading.Thread(target=lambda: asyncio.run(add_async())))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert 200 == cache.get("n")


class TestManyKeys:
    def test_set_get_delete(self, cache):
        """Those that are not there are left out."""
        assert [] == cache.set_many({"a": 1, "b": 2, "c": 3})
        cache.delete_many(["a", "missing"])

        assert {"b": 2, "c": 3} == cache.get_many(["a", "b", "c"])

    def test_none(self, cache):
        """No keys are no error."""
        assert [] == cache.set_many({})
        assert {} == cache.get_many([])
        cache.delete_many([])

    def test_more_than_one_request_can_carry(self, make, start_daemon):
        """By number, and by size."""
        daemon = start_daemon(max_batch="10", max_value_bytes="20000", max_request_bytes="30000")
        cache = make(daemon.endpoint)
        many = {f"key{number}": "x" * 10_000 for number in range(25)}
        cache.set_many(many)

        assert many == cache.get_many(many)
        cache.delete_many(many)
        assert {} == cache.get_many(many)

    def test_iterators(self, cache):
        """Keys may come from anywhere."""
        cache.set_many({"a": 1})

        assert {"a": 1} == cache.get_many(iter(["a"]))
        cache.delete_many(iter(["a"]))
        assert {} == cache.get_many(["a"])


class TestWhatIsStored:
    def test_json_stays_json(self, cache, store, key):
        """Under a key that people can make out."""
        cache.set("a", {"b": 1})

        assert {"b": 1} == store.read(f"django:{key}:1:a")

    @pytest.mark.parametrize("change", ["set", "add"])
    def test_what_is_not_json_is_refused(self, cache, change):
        """The error names the key and the option."""
        with pytest.raises(InvalidValueError, match=r"django:.*:1:a' is not JSON.* set OPTIONS = {\"pickle\": True}"):
            getattr(cache, change)("a", {1, 2})
        with pytest.raises(InvalidValueError, match="pickle"):
            cache.set_many({"a": {1, 2}})
        assert not cache.has_key("a")

    def test_what_is_not_json_with_the_option(self, make, cache):
        """It comes back; to a cache without the option it is an error, and no code is run."""
        make(OPTIONS={"pickle": True}).set("a", ({1, 2}, b"x"))

        assert ({1, 2}, b"x") == make(OPTIONS={"pickle": True}).get("a")
        with pytest.raises(InvalidValueError, match="is a pickle"):
            cache.get("a")
        with pytest.raises(InvalidValueError, match="is a pickle"):
            cache.get_many(["a"])

    def test_clear_removes_its_own(self, cache, make, store, key):
        """Of all versions and key functions; not what is another cache's, or nobody's."""
        mine = [cache, make(VERSION=2), make(KEY_FUNCTION=lambda name, *_: f"CUSTOM-{name}")]
        others = [make(KEY_PREFIX=f"{key}x"), make(KEY_PREFIX="")]
        for each in mine + others:
            each.set("a", 1)
        store.put(f"{key}:1:a", 1)
        cache.clear()

        assert [None] * 3 + [1, 1] == [each.get("a") for each in mine + others]
        assert 1 == store.read(f"{key}:1:a")

    @pytest.mark.parametrize("name", ["with space", "tab\t", "\x7f", "x" * 300, "\ud800"])
    def test_keys_that_memcached_would_refuse(self, cache, name):
        """A warning, as Django's own caches give, and they work."""
        if name != "\ud800":
            with pytest.warns(CacheKeyWarning):
                cache.set(name, 1)
            with pytest.warns(CacheKeyWarning):
                assert 1 == cache.get(name)
            with pytest.warns(CacheKeyWarning):
                assert {name: 1} == cache.get_many([name])
        else:
            cache.set(name, 1)
            assert 1 == cache.get(name)
        cache.clear()
        assert {} == cache.get_many(["a"])


class TestAsync:
    def test_all_methods(self, make):
        """They do what those without an a do."""

        async def use():
            cache = make()
            await cache.aset("a", 1)
            await cache.aset_many({"b": 2, "c": 3})
            assert not await cache.aadd("a", 2)
            assert 2 == await cache.aincr("a")
            assert 1 == await cache.adecr("a")
            assert await cache.atouch("a", None)
            assert await cache.ahas_key("a")
            await cache.adelete_many(["b"])
            assert await cache.adelete("a")
            assert 5 == await cache.aget_or_set("d", 5)
            assert {"c": 3, "d": 5} == await cache.aget_many(["a", "b", "c", "d"])
            await cache.aclear()
            assert None is await cache.aget("c")

        asyncio.run(use())


class TestSettings:
    @pytest.mark.parametrize(
        ("location", "params", "told"),
        [
            ("cache", {"OPTIONS": {"MAX_ENTRIES": 10}}, "no option 'MAX_ENTRIES'.* are autostart, pickle, timeout"),
            (["a", "b"], {}, "one store's name or endpoint"),
            ("../x", {}, "LOCATION = '../x': A store's name has"),
            ("http://localhost", {}, "An endpoint begins with"),
            ("cache", {"OPTIONS": {"timeout": 0}}, "above 0"),
            ("cache", {"KEY_PREFIX": "x" * 190}, "KEY_PREFIX is too long .at most 183 characters"),
            ("cache", {"KEY_PREFIX": "a\n"}, "control character"),
        ],
    )
    def test_that_cannot_be(self, location, params, told):
        """An ImproperlyConfigured that says what was wrong."""
        with pytest.raises(InvalidCacheBackendError, match=told):
            KvdCache(location, params)

    def test_longest_prefix(self, make):
        """Its keys are found by clear."""
        cache = make(KEY_PREFIX="x" * 183)
        with pytest.warns(CacheKeyWarning):
            cache.set("y" * 100, 1)
        cache.clear()
        with pytest.warns(CacheKeyWarning):
            assert not cache.has_key("y" * 100)

    def test_store_by_its_name(self, make, directory, monkeypatch):
        """Its daemon is looked for where it would be; here there is none, and none shall be started."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
        cache = make("some", OPTIONS={"autostart": False, "timeout": 0.1})
        with pytest.raises(DaemonUnavailableError, match=r"kvd/some\.sock"):
            cache.get("a")

    def test_settings_of_the_user(self, make, endpoint, monkeypatch, cache):
        """No LOCATION is what `Client()` takes, at the time."""
        monkeypatch.setenv("KVD_ENDPOINT", endpoint)
        cache.set("a", 1)

        assert 1 == make("").get("a")
        monkeypatch.setenv("KVD_ENDPOINT", f"{endpoint}.other")
        with pytest.raises(DaemonUnavailableError):
            make("", OPTIONS={"timeout": 0.1}).get("a")

    def test_caches_share_connections(self, make, start_daemon):
        """Django makes one for each thread and request."""
        daemon = start_daemon()
        caches = [make(daemon.endpoint) for _ in range(20)]
        for cache in caches:
            cache.set("a", 1)

        from kvclient import Client

        with Client(daemon.endpoint) as store:
            assert 2 >= store.stats()["peers"]


def test_a_store_that_is_full(make, start_daemon):
    """What does not fit raises StoreFullError, and what is there can be read and deleted."""
    daemon = start_daemon(max_file_bytes="65536", max_value_bytes="20000")
    cache = make(daemon.endpoint)
    with pytest.raises(StoreFullError):
        cache.set_many({f"key{number}": "x" * 10_000 for number in range(20)})
    cache.set("key0", "x" * 10_000)

    assert "x" * 10_000 == cache.get("key0")
    cache.clear()
    wait_until(lambda: _fits(cache))


def _fits(cache):
    try:
        cache.set("a", 1)
    except StoreFullError:
        return False
    return True
