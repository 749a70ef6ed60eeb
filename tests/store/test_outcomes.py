"""Exactly once: a request that is repeated with its id is told what became of it, and changes nothing."""

import json

import pytest

from kvclient import KeyExistsError, KeyNotFoundError, RequestError
from kvd.backend.file.engine.interface import Outcome
from kvd.backend.file.store.outcomes import MOST_CLIENTS, MOST_RESULT_BYTES, Outcomes
from kvd.backend.file.store.replies import changed
from stores import create, delete, request

WITH_RESULTS = [
    {"op": "increment", "key": "n", "by": 3},
    {"op": "pop", "key": "a"},
    {"op": "delete_many", "keys": ["a", "b", "missing"]},
    {"op": "clear", "prefix": ""},
    {"op": "batch", "operations": [{"op": "pop", "key": "a"}, {"op": "increment", "key": "n"}]},
]


class TestRepetition:
    def test_repetition_gets_the_first_answer(self, opened):
        """The same id is the same request: its success is told again, in a later group and in the same one."""
        first = opened.create("a", 1, id="c:1")
        assert [first] == opened.do(create("a", 1, id="c:1"))

        assert [2, 2] == opened.do(delete("a", id="c:2"), delete("a", id="c:2"))

    def test_refusal_is_repeated_too(self, opened):
        """A refused request stays refused when it is repeated, whatever has changed since."""
        opened.create("a", 1)
        (refused,) = opened.do(create("a", 1, id="c:1"))
        opened.delete("a")

        assert isinstance(refused, KeyExistsError)
        assert [refused] == opened.do(create("a", 1, id="c:1"))

    def test_older_number_is_refused(self, opened):
        """A client's number only rises."""
        opened.create("a", 1, id="c:7")
        (refused,) = opened.do(create("b", 1, id="c:6"))

        assert isinstance(refused, RequestError)
        assert "c:7" in str(refused)

    def test_clients_are_told_apart_by_all_before_the_last_colon(self, opened):
        """A client's name may have colons itself."""
        opened.do(create("a", 1, id="c:1:5"), create("b", 1, id="c:2:1"), create("c", 1, id="c:1"))

        assert {"a": 1, "b": 1, "c": 1} == opened.contents()

    @pytest.mark.parametrize("asked", WITH_RESULTS, ids=lambda asked: asked["op"])
    def test_result_is_part_of_the_outcome(self, opened, asked):
        """It is told again in the same group, a later one, after a restart, and behind a compaction and a restart."""
        opened.do(create("a", {"x": "é"}), create("b", 2))
        repeated = request(**asked, id="c:1")
        first, second = opened.outcomes(repeated, repeated)
        (third,) = opened.outcomes(repeated)
        with opened.reopened() as again:
            (fourth,) = again.outcomes(repeated)
            again.compact()
            with again.reopened() as compacted:
                (fifth,) = compacted.outcomes(repeated)
                assert first.revision == compacted.engine.revision

        assert {changed(first)} == {changed(outcome) for outcome in (second, third, fourth, fifth)}
        assert len(json.loads(changed(first))) > 2

    def test_success_that_changes_nothing_is_repeated(self, opened):
        """As long as the store is open; afterwards it is decided anew, which is as right an answer."""
        nothing = request("delete_many", keys=["a"], id="c:1")
        opened.do(nothing)
        opened.create("a", 1)

        assert [0] == opened.do(nothing)
        with opened.reopened() as again:
            assert [2] == again.do(nothing)

    def test_request_in_a_group_that_fails_is_new(self, opened):
        """Nothing is remembered of it, neither success nor refusal."""
        opened.create("a", 1)
        opened.store.fail(opened.decide(create("b", 1, id="c:1"), create("a", 1, id="d:1")))
        opened.delete("a")

        assert [3, 4] == opened.do(create("b", 1, id="c:1"), create("a", 1, id="d:1"))


class TestCompaction:
    def test_success_just_before_the_first_step_of_a_compaction_is_remembered(self, opened):
        """A compaction that was asked for starts behind the commit that is due."""
        steps = opened.store.compact()
        opened.create("a", 1, id="c:7")
        for job in steps:
            if job is not None:
                job.run()
        with opened.reopened() as again:
            assert [1] == again.do(create("a", 1, id="c:7"))

    def test_success_while_a_compaction_is_under_way_is_remembered(self, opened):
        """Whatever step it comes between."""
        opened.create("first", 1)
        number = 0
        for job in opened.store.compact():
            if job is not None:
                job.run()
            if job is None or not job.alone:
                number += 1
                opened.ask("increment", key="n", id=f"c{number}:1")
        with opened.reopened() as again:
            repeated = [request("increment", key="n", id=f"c{n}:1") for n in range(1, number + 1)]
            assert [f'"value":{n}'.encode() for n in range(1, number + 1)] == [
                outcome.fields for outcome in again.outcomes(*repeated)
            ]


class TestBounds:
    def test_memory_for_clients_is_bounded(self, opened):
        """Of more clients than it remembers, those that were heard of last are known."""
        opened.create("first", 1, id="first:1")
        opened.do(*(create(f"k{number}", 1, id=f"c{number}:1") for number in range(MOST_CLIENTS)))
        (forgotten,) = opened.do(create("first", 1, id="first:1"))

        assert isinstance(forgotten, KeyExistsError)
        assert [MOST_CLIENTS + 1] == opened.do(create("again", 1, id=f"c{MOST_CLIENTS - 1}:1"))
        assert len(opened.store._outcomes._successes) == MOST_CLIENTS

    def test_refusals_push_out_no_success(self, opened):
        """However many clients are refused, what was carried out is remembered; refusals are bounded themselves."""
        opened.create("a", 1, id="c:1")
        opened.do(*(create("a", 1, id=f"r{number}:1") for number in range(2 * MOST_CLIENTS)))

        assert [1] == opened.do(create("a", 1, id="c:1"))
        assert MOST_CLIENTS == len(opened.store._outcomes._refusals)

    def test_refusal_behind_a_success_is_the_latest(self, opened):
        """And a success behind a refusal."""
        opened.create("a", 1, id="c:1")
        (refused,) = opened.do(create("a", 1, id="c:2"))
        assert [refused] == opened.do(create("a", 1, id="c:2"))
        (older,) = opened.do(create("a", 1, id="c:1"))
        assert isinstance(older, RequestError)
        opened.delete("a", id="c:3")

        assert [2] == opened.do(delete("a", id="c:3"))
        assert {} == opened.store._outcomes._refusals

    def test_results_beyond_the_bound_are_lost_but_not_forgotten(self):
        """The least recent: their repetition is told that it was carried out, at which revision, and no result."""
        outcomes = Outcomes({})
        large = b'"value":"%s"' % (b"x" * (MOST_RESULT_BYTES // 10))
        for number in range(12):
            outcomes.add(f"c{number}", 1, Outcome(1, number, large))
        outcomes.add("small", 1, Outcome(1, 99, b'"value":1'))
        lost = [number for number in range(12) if isinstance(outcomes.recall(f"c{number}", 1), RequestError)]

        assert list(range(len(lost))) == lost
        assert 1 < len(lost) < 12
        assert "carried out, at revision 0" in str(outcomes.recall("c0", 1))
        assert b'"value":1' == outcomes.recall("small", 1).fields
        assert outcomes.recall("c0", 2) is None
        assert outcomes._result_bytes == sum(len(outcome.fields) for outcome in outcomes.durable().values())

    def test_popped_value_is_told_again_up_to_the_largest(self, opened):
        """A result may be as large as a value."""
        opened.create("a", "x" * ((1 << 20) - 2))
        popping = request("pop", key="a", id="c:1")
        (first,) = opened.outcomes(popping)
        with opened.reopened() as again:
            assert [first] == again.outcomes(popping)
            assert not isinstance(first, KeyNotFoundError)
