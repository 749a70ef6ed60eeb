"""Keys in their order: list by pages, count by prefix."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvd.backend.file.engine.interface import NEVER, Entry, Put, Removal
from kvd.backend.file.store.committed import Committed
from kvd.backend.file.store.operations.list import MOST_BYTES, MOST_ENTRIES
from kvd.backend.file.store.order import Order, end_of
from stores import create, create_all, delete, request

OLD = Entry(0, 1, 1, NEVER)
# Few different characters, so that prefixes coincide: among them the last of all, and those around the surrogates.
texts = st.text(st.sampled_from("ab\ud7ff\ue000\U0010ffff"), max_size=4)


def ordered(keys):
    order = Order(lambda: list(keys))
    while not order.ready():
        pass
    return order


class TestOrder:
    @given(st.lists(texts.filter(bool), unique=True), texts, texts)
    def test_prefix_and_position(self, keys, prefix, after):
        """Keys are in the order of their code points; those with a prefix are next to each other."""
        order = ordered(keys)
        expected = sorted(key for key in keys if key.startswith(prefix))

        assert [key for key in expected if key > after] == list(order.behind(prefix, after))
        assert len(expected) == order.count(prefix)

    @given(texts, texts)
    def test_end_of_a_prefix_is_the_least_string_behind_it(self, prefix, text):
        """None where all that follows begins with it."""
        end = end_of(prefix)
        within = text >= prefix and (end is None or text < end)

        assert within == text.startswith(prefix)

    @pytest.mark.parametrize("made_of", ["nothing", "many keys"])
    @given(
        commits=st.lists(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=8), max_size=8),
        begun=st.integers(0, 8),
    )
    def test_following_commits(self, made_of, commits, begun):
        """It holds what was put and not removed, in commits of any shape, before, while and after it is made."""
        expected = {} if made_of == "nothing" else {f"b{n}": OLD for n in range(20)}
        with mock.patch("kvd.backend.file.store.order._SORTED_AT_ONCE", 7):
            order = Order(lambda: list(expected))
            for number, commit in enumerate(commits):
                if number >= begun:
                    order.ready()
                news, olds = [], []
                for key, put in commit:
                    if put:
                        news.append((key, Put(b"1", 1, NEVER)))
                        olds.append(expected.get(key))
                        expected[key] = OLD
                    elif key in expected:
                        news.append((key, Removal(1)))
                        olds.append(expected.pop(key))
                order.follow(Committed(1, 0.0, news, olds, removes=True, binds=False, expires=False))
            while not order.ready():
                pass

        assert sorted(expected) == order.in_order() == list(order.behind("", ""))


class TestList:
    def test_pages_go_through_all_keys_once(self, opened):
        """In order, each page behind the last key of the one before; `more` tells whether there is another."""
        keys = sorted(["é", "z", "\U0001f511", "\ufffd", "a b", *(f"k{n}" for n in range(20))])
        opened.batch(dict.fromkeys(keys, 1))
        found, after, pages = [], "", 0
        while True:
            reply = opened.ask("list", after=after, limit=5)
            found += [entry["key"] for entry in reply["entries"]]
            pages += 1
            if not reply["more"]:
                break
            after = found[-1]

        assert keys == found
        assert 5 == pages

    @pytest.mark.parametrize(
        ("prefix", "after", "found"),
        [
            ("b", "", ["b", "b1", "b2"]),
            ("b", "a", ["b", "b1", "b2"]),
            ("b", "b", ["b1", "b2"]),
            ("b", "b1x", ["b2"]),
            ("b", "c", []),
            ("", "b2", ["c"]),
            ("x", "", []),
        ],
    )
    def test_prefix_and_after(self, opened, prefix, after, found):
        """Only keys with the prefix, and only behind `after`."""
        opened.batch(dict.fromkeys(["a", "b", "b1", "b2", "c"], 1))

        assert found == [entry["key"] for entry in opened.ask("list", prefix=prefix, after=after)["entries"]]

    def test_values_are_told_if_they_are_asked_for(self, opened):
        """With the revision of each."""
        opened.do(create("a", {"x": 1}), create("b", None))

        assert [
            {"key": "a", "revision": 1, "value": {"x": 1}},
            {"key": "b", "revision": 2, "value": None},
        ] == opened.ask("list", values=True)["entries"]
        assert [{"key": "a", "revision": 1}, {"key": "b", "revision": 2}] == opened.ask("list")["entries"]

    def test_page_is_bounded_in_entries_and_bytes(self, opened):
        """Whatever limit is asked for; a single value may be larger than a page."""
        opened.do(create_all({f"k{n:04}": b"1" for n in range(MOST_ENTRIES + 1)}))
        page = opened.ask("list", limit=10_000)
        assert (MOST_ENTRIES, True) == (len(page["entries"]), page["more"])
        opened.ask("clear")
        opened.settle()
        opened.do(*(create(f"k{n}", "x" * (MOST_BYTES // 3)) for n in range(4)))
        page = opened.ask("list", values=True)

        assert (3, True) == (len(page["entries"]), page["more"])
        assert not opened.ask("list", values=True, after="k2")["more"]

    def test_keys_that_are_gone_are_passed_over_in_steps(self, opened, clock):
        """More than a page of expired keys, before and between those that are there, and at the end."""
        opened.do(
            create_all({f"b{n:04}": b"1" for n in range(2500)}, ttl=5), create("a", 1), create("b1", 1), create("c", 1)
        )
        clock.now += 5

        assert ["c"] == [entry["key"] for entry in opened.ask("list", after="b1")["entries"]]
        found, after, more = [], "", True
        while more:
            reply = opened.ask("list", after=after)
            found += [entry["key"] for entry in reply["entries"]]
            more, after = reply["more"], (found or [""])[-1]
        assert ["a", "b1", "c"] == found


class TestCount:
    def test_prefixes_are_counted_without_their_neighbours(self, opened):
        """Also the empty one, and one that nothing begins with."""
        opened.batch(dict.fromkeys(["a", "a:1", "a:2", "a;", "b", "\U0010ffff", "\U0010ffff\U0010ffff"], 1))

        assert [7, 4, 2, 1, 2, 0] == [
            opened.ask("count", prefix=prefix)["count"] for prefix in ("", "a", "a:", "b", "\U0010ffff", "x")
        ]

    def test_count_follows_every_kind_of_change(self, opened):
        """Creations, replacements and removals, also of the same key in one group."""
        opened.do(create("a", 1), delete("a"), create("a", 1), request("put", key="a", value=2), create("b", 1))
        assert 2 == opened.ask("count")["count"]
        opened.do(request("pop", key="a"), create("c", 1), delete("c"))

        assert 1 == opened.ask("count")["count"]
        with opened.reopened() as again:
            assert 1 == again.ask("count")["count"]
