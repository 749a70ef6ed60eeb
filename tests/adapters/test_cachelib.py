"""cachelib's interface: what its documentation says of every cache, and what ours says of this one."""

import threading
from datetime import timedelta

import pytest

from kvclient import DaemonUnavailableError, InvalidValueError
from processes import wait_until

pytest.importorskip("cachelib", reason="cachelib is not installed")

from cachelib import BaseCache

from kvclient.adapters.cachelib import KvdCache


@pytest.fixture
def make(endpoint, key):
    """Make caches of one prefix, unless they are given another."""

    def make(**options):
        return KvdCache(endpoint, **{"key_prefix": f"{key}:", "timeout": 30, **options})

    return make


@pytest.fixture
def cache(make):
    return make()


class TestValues:
    def test_set_and_get(self, cache):
        """What is not there is None."""
        assert cache.set("a", {"b": [1]}) is True
        assert {"b": [1]} == cache.get("a")
        assert None is cache.get("missing")

    def test_add(self, cache):
        """Only what does not exist, and it says if it did."""
        assert cache.add("a", 1) is True
        assert cache.add("a", 2) is False
        assert 1 == cache.get("a")

    def test_delete_and_has(self, cache):
        """They say if there was something."""
        cache.set("a", 1)

        assert cache.has("a") is True
        assert cache.delete("a") is True
        assert cache.delete("a") is False
        assert cache.has("a") is False

    def test_many(self, cache):
        """In the order that was asked for, and what is not there in its place."""
        assert ["a", "b"] == cache.set_many({"a": 1, "b": 2})
        assert [2, None, 1, 2] == cache.get_many("b", "missing", "a", "b")
        assert {"a": 1, "missing": None} == cache.get_dict("a", "missing")
        assert ["a", "missing"] == cache.delete_many("a", "missing")
        assert [None, 2] == cache.get_many("a", "b")
        assert ([], [], []) == (cache.set_many({}), cache.get_many(), cache.delete_many())

    def test_counting(self, cache):
        """From 0 on, where there is nothing."""
        assert (5, 3) == (cache.inc("n", 5), cache.dec("n", 2))
        cache.set("a", "text")
        with pytest.raises(InvalidValueError, match="not a number"):
            cache.inc("a")

    def test_nobodys_addition_is_lost(self, cache):
        """Of four threads."""
        threads = [threading.Thread(target=lambda: [cache.inc("n") for _ in range(50)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert 200 == cache.get("n")

    def test_what_is_not_json(self, make, cache, store, key):
        """It is refused without the option, which the error names."""
        for change in (cache.set, cache.add):
            with pytest.raises(InvalidValueError, match=r"is not JSON.* set pickle=True"):
                change("a", {1, 2})
        make(pickle=True).set_many({"a": {1, 2}, "b": [1]})

        assert [{1, 2}, [1]] == make(pickle=True).get_many("a", "b")
        assert [1] == store.read(f"{key}:b")
        with pytest.raises(InvalidValueError, match="is a pickle"):
            cache.get("a")


class TestTimeouts:
    @pytest.mark.parametrize("default", [1000, timedelta(seconds=1000)])
    def test_of_values(self, make, store, key, default):
        """The default is for all that is made without one; 0 is never."""
        cache = make(default_timeout=default)
        cache.set("a", 1)
        cache.set_many({"b": 1}, timeout=2000)
        cache.add("c", 1, timeout=0)
        cache.inc("d")
        make(default_timeout=0).set("e", 1)
        make(default_timeout=0).inc("f")
        at = {entry.key.removeprefix(f"{key}:"): entry.expires_at for entry in store.entries(f"{key}:")}

        assert 900 < at["b"] - at["a"] < 1100
        assert abs(at["d"] - at["a"]) < 100
        assert (None, None, None) == (at["c"], at["e"], at["f"])

    def test_expired_values_are_gone(self, cache):
        """After whole seconds, as cachelib counts them."""
        cache.set("a", 1, timeout=timedelta(milliseconds=1))
        wait_until(lambda: cache.get("a") is None)

        assert cache.add("a", 2)

    def test_that_have_passed(self, cache):
        """Nothing is stored, and what was is gone."""
        cache.set_many({"a": 1, "b": 1})

        assert cache.set("a", 2, timeout=-1)
        assert ["b"] == cache.set_many({"b": 2}, timeout=-1)
        assert cache.add("c", 1, timeout=-1)
        assert [None] * 3 == cache.get_many("a", "b", "c")


class TestPrefix:
    def test_clear_removes_its_own(self, cache, make, key):
        """And nothing of another cache, or nobody's."""
        other = make(key_prefix=f"{key}x:")
        for each in (cache, other):
            each.set("a", 1)
            each.set("long" * 100, 1)

        assert cache.clear() is True
        assert [None, None] == cache.get_many("a", "long" * 100)
        assert [1, 1] == other.get_many("a", "long" * 100)

    @pytest.mark.parametrize("name", ["with space", "tab\t", "x" * 300, "\ud800", ""])
    def test_any_key(self, cache, name):
        """Is taken."""
        cache.set(name, 1)

        assert ([1], True, True) == (cache.get_many(name), cache.has(name), cache.delete(name))

    @pytest.mark.parametrize("prefix", ["", "x" * 192, "a\n"])
    def test_that_cannot_be(self, make, prefix):
        """Such as one that would have `clear` remove everything."""
        with pytest.raises(ValueError, match="1 to 191 characters"):
            make(key_prefix=prefix)


def test_no_daemon(no_daemon):
    """It is an error, and no miss."""
    cache = KvdCache(no_daemon, timeout=0.1)
    for use in (lambda: cache.get("a"), lambda: cache.set("a", 1), cache.clear):
        with pytest.raises(DaemonUnavailableError):
            use()


def test_all_methods_of_the_interface_are_its_own():
    """What cachelib does by several calls is one here, and what it leaves out is there."""
    base = {name for name in vars(BaseCache) if not name.startswith("_")}

    assert {"get_dict"} == base - vars(KvdCache).keys()


class TestFlask:
    """What docs/adapters.md shows, with another process at the same store."""

    def test_views_are_computed_once(self, endpoint, key):
        """For all who use the store."""
        flask, caching = pytest.importorskip("flask"), pytest.importorskip("flask_caching")
        options = {"endpoint": endpoint, "key_prefix": f"{key}:"}
        computed = []

        def served():
            app = flask.Flask("shop")
            cache = caching.Cache(
                app, config={"CACHE_TYPE": "kvclient.adapters.cachelib.KvdCache", "CACHE_OPTIONS": options}
            )

            @app.route("/")
            @cache.cached()
            def index():
                computed.append(1)
                return "there"

            @cache.memoize()
            def square(number):
                computed.append(number)
                return number * number

            with app.app_context():
                return app.test_client().get("/").text, square(7)

        assert [("there", 49), ("there", 49)] == [served(), served()]
        assert [1, 7] == computed

    def test_sessions_are_json(self, endpoint, key, store):
        """And the same whichever process is asked."""
        flask, flask_session = pytest.importorskip("flask"), pytest.importorskip("flask_session")

        def app():
            app = flask.Flask("shop")
            cache = KvdCache(endpoint, key_prefix=f"{key}:")
            app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache, SESSION_PERMANENT=True)
            flask_session.Session(app)

            @app.route("/")
            def visits():
                flask.session["visits"] = flask.session.get("visits", 0) + 1
                return str(flask.session["visits"])

            return app

        first, second = app().test_client(), app().test_client()
        assert "1" == first.get("/").text
        cookie = first.get_cookie("session")
        second.set_cookie("session", cookie.value)
        assert "2" == second.get("/").text
        (entry,) = store.entries(f"{key}:")
        assert {"visits": 2, "_permanent": True} == entry.value
        assert entry.expires_at is not None
