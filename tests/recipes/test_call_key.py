"""The keys of calls: the same for the same call, in every process, and different for any other."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient.contract.rules import check_key
from kvclient.recipes.call_key import MOST_CHARACTERS, CallKeys


def keys(function, ignore=(), key=None, prefix="memo:"):
    made = CallKeys(function, prefix, ignore, key)
    return lambda *args, **kwargs: made.of(args, kwargs).removeprefix(f"memo:{__name__}.")


def rate(currency, days=3, *more, exact=False, **options):
    pass


class TestArguments:
    def test_by_name_as_json(self):
        """They are there to be read."""
        assert 'rate(currency="EUR",days=3,exact=false)' == keys(rate)("EUR")
        assert 'rate(currency="Zürich",days=1,*more=[2,null],exact=true,**options={"a":[1.5],"b":{}})' == keys(rate)(
            "Zürich", 1, 2, None, exact=True, b={}, a=(1.5,)
        )

    def test_a_call_written_in_another_way(self):
        """Positional or by name, a default left to itself or given, in whatever order: the same key."""
        of = keys(rate)

        assert of("EUR") == of(currency="EUR") == of("EUR", 3) == of(days=3, currency="EUR", exact=False)
        assert of("EUR", a=1, b=2) == of("EUR", b=2, a=1)
        assert of({"a": 1, "b": [{"c": 1, "d": 2}]}) == of({"b": [{"d": 2, "c": 1}], "a": 1})

    def test_calls_that_are_others(self):
        """Numbers, booleans, strings and null are told apart, and where they stand."""
        of = keys(rate)
        calls = [of(1), of(1.0), of(True), of("1"), of(None), of("null"), of(1, 2), of(1, 2, 3), of(1, 2, [3]), of([1])]
        calls += [of(1, exact=True), of(1, more=2), of(1, x=2), of(1, x="2"), of("1,days=4"), of('1",days=4')]

        assert len(calls) == len(set(calls))

    @given(st.text(), st.text())
    def test_any_text(self, one, other):
        """Of any text a valid key is made, and of another text another."""
        of = keys(rate, prefix="")

        assert check_key(of(one), MOST_CHARACTERS)
        assert (one == other) == (of(one) == of(other))

    def test_long_ones(self):
        """A digest stands for them, and the function's name is still there."""
        of = keys(rate)

        assert of("x" * 100).startswith('rate(currency="xxx')
        assert of("x" * 1000).startswith("rate(#")
        assert len(of("x" * 1000)) < 60
        assert of("x" * 1000) == of(currency="x" * 1000)
        assert 3 == len({of("x" * 1000), of("x" * 1001), of("x" * 1000, 4)})

    def test_long_name(self):
        """It is cut and has a digest, so that there is room for the rest."""
        made = [CallKeys(rate, prefix, (), None) for prefix in ("p" * 300, "p" * 301)]

        assert made[0].prefix != made[1].prefix
        assert len(made[0].of(("x" * 1000,), {})) <= MOST_CHARACTERS

    @pytest.mark.parametrize(("value", "said"), [({1}, "it is of type set"), ([object()], "the part at [0]")])
    def test_one_that_is_not_json(self, value, said):
        """TypeError that names it and says what to do."""
        with pytest.raises(TypeError) as raised:
            keys(rate)("EUR", value)
        message = str(raised.value)

        assert "argument 'days' cannot be part of a key" in message
        assert said in message
        assert "ignore=('days',)" in message
        assert "key=" in message

    def test_those_that_the_function_does_not_take(self):
        """TypeError, as of the function itself."""
        with pytest.raises(TypeError, match=r"rate\(\): missing a required argument: 'currency'"):
            keys(rate)()


class TestIgnored:
    @pytest.mark.parametrize("ignore", [("days", "more"), [1, "more"], {1, 2}])
    def test_by_name_or_position(self, ignore):
        """What they are makes no difference, JSON or not."""
        of = keys(rate, ignore)

        assert 'rate(currency="EUR",exact=false)' == of("EUR", object(), 5, 6)

    def test_a_single_one(self):
        """It need not be in a tuple; a string is a name and not its letters."""
        assert 'rate(currency="EUR",exact=false)' == keys(rate, "days")("EUR", object())
        assert "rate(days=3,exact=false)" == keys(rate, 0)(object())

    def test_one_that_only_some_calls_have(self):
        """A name that `**options` takes."""
        assert keys(rate)("EUR") == keys(rate, "session")("EUR", session=object())


class TestKeyFunction:
    def test_in_place_of_the_arguments(self):
        """It gets them as the function does, and what it returns tells calls apart."""
        of = keys(rate, key=lambda currency, **_: currency.lower())

        assert 'rate("eur")' == of("EUR", x=object()) == of(currency="eur")

    def test_that_returns_what_is_not_json(self):
        """TypeError that says so."""
        with pytest.raises(TypeError, match="what key= returned cannot be part of a key: it is of type set"):
            keys(rate, key=lambda _: {1})(1)

    def test_of_a_function_without_a_signature(self):
        """It is the only way to memoize one."""
        with pytest.raises(TypeError, match="give key="):
            CallKeys(max, "", (), None)
        assert "builtins.max(1)" == CallKeys(max, "", (), lambda *values: len(values)).of((7,), {})


PROGRAM = """
from kvclient import Client
@Client("ipc:///nowhere/kvd.sock", autostart=False).memoize
def double(x):
    return 2 * x

def show(_=None):
    print(double.key(1), flush=True)

if __name__ == "__main__":
    import multiprocessing, sys
    show()
    for method in sys.argv[1:]:
        process = multiprocessing.get_context(method).Process(target=show)
        process.start()
        process.join()
"""


class TestPrograms:
    """A function of the program's own file, which Python calls `__main__` in every program."""

    @pytest.fixture
    def python(self, tmp_path):
        for name in ("one.py", "two.py"):
            (tmp_path / name).write_text(PROGRAM)

        def python(*arguments):
            done = subprocess.run(
                [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
            )
            return done.stdout.split()

        return python

    def test_has_the_name_of_its_file(self, python, tmp_path):
        """So that programs with functions of the same name do not take each other's values."""
        assert [f"memo:{tmp_path.resolve()}/one.py.double(x=1)"] == python("one.py")
        assert python("one.py") == python(tmp_path / "one.py")
        assert python("one.py") != python("two.py")

    def test_is_the_same_in_children(self, python):
        """Of multiprocessing, however it starts them."""
        found = python("one.py", "spawn", "fork", "forkserver")

        assert 4 == len(found)
        assert 1 == len(set(found))

    def test_is_the_same_as_when_it_is_imported(self, python):
        """Where Python is told the module's name."""
        imported = python("-c", "import one; one.show()")

        assert ["memo:one.double(x=1)"] == imported
        assert imported * 2 == python("-m", "one", "spawn")
