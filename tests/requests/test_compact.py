"""Values as they are stored: compact, as they were sent, and nothing that a reader could trip over."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient import InvalidValueError, ValueTooLargeError
from kvclient.contract.rules import MAX_NESTING
from kvd.requests.values import compact

MOST = 1 << 20
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
digits = st.integers(1, 400).map(lambda count: "7" * count) | st.integers(200, 320).map(lambda count: "1" + "0" * count)
signs = st.sampled_from(["", "+", "-"])
exponents = st.builds(lambda e, sign, number: f"{e}{sign}{number}", st.sampled_from("eE"), signs, st.integers(0, 999))
numbers = st.builds(
    lambda sign, whole, fraction, exponent: sign + whole + fraction + exponent,
    st.sampled_from(["", "-"]),
    digits | st.sampled_from(["0", "1"]),
    st.just("") | digits.map(lambda found: f".{found}"),
    st.just("") | exponents,
)


def value(text):
    return compact(text, "k", MOST)


def finite(found):
    try:
        return math.isfinite(found)
    except OverflowError:  # an integer, which has no bound but its digits
        return True


class TestCompactness:
    @given(json_values, st.sampled_from([None, 1, "\t"]), st.booleans())
    def test_white_space_goes_and_the_value_stays(self, given_value, indent, ascii_only):
        """However it was written."""
        text = json.dumps(given_value, indent=indent, ensure_ascii=ascii_only).encode()
        stored = value(text)

        assert json.loads(text) == json.loads(stored)
        assert json.dumps(given_value, ensure_ascii=ascii_only, separators=(",", ":")).encode() == stored

    @pytest.mark.parametrize("text", [b'"a b"', b'" \\n\\t "', b'{"a b":"c  d"}', b'["\\\\ \\" x"]'])
    def test_white_space_in_strings_stays(self, text):
        """It is data."""
        assert text == value(text)

    @pytest.mark.parametrize(
        "text", [b"1e5", b"1E+5", b"0.10", b"-0", b"1.0", b'"\\u0041"', b'"\\/"', b"123456789012345678901"]
    )
    def test_numbers_and_escapes_stay_as_they_were_sent(self, text):
        """Nothing is parsed and written anew."""
        assert text == value(text)


class TestNumbers:
    @given(numbers)
    def test_a_number_that_python_reads_as_infinite_is_refused_and_no_other(self, number):
        """Whether its digits or its exponent make it so."""
        text = f"[1,{number}]".encode()
        if finite(json.loads(text)[1]):
            assert text == value(text)
        else:
            with pytest.raises(InvalidValueError, match="too large for a double"):
                value(text)

    @pytest.mark.parametrize("number", ["1" + "0" * 259 + "e60", "9" * 309 + "e0", "1" + "0" * 308 + ".0e1"])
    def test_digits_and_exponent_together_are_too_large(self, number):
        """Neither alone would be."""
        with pytest.raises(InvalidValueError, match="too large for a double"):
            value(number.encode())

    def test_many_digits_and_a_negative_exponent(self):
        """They make a number that a double holds."""
        text = b"1" + b"0" * 320 + b".0e-100"
        assert text == value(text)

    @pytest.mark.parametrize("count", [309, 4300])
    def test_whole_numbers_of_up_to_4300_digits(self, count):
        """As many as Python's int() takes."""
        assert b"-" + b"7" * count == value(b"-" + b"7" * count)

    @pytest.mark.parametrize("text", [b"%s", b"[1,-%s]", b'{"a":[%s]}'])
    def test_more_digits_are_refused(self, text):
        """With their bound."""
        with pytest.raises(InvalidValueError, match="more than 4300 digits"):
            value(text % (b"7" * 4301))

    @pytest.mark.parametrize(
        "text", [b'"1e999"', b'{"1e999":1}', b'"%s"' % (b"7" * 5000), b'["\\"1e999",1]', b'["\\\\","1e999"]']
    )
    def test_what_looks_like_a_number_in_a_string_is_none(self, text):
        """Strings may hold anything."""
        assert text == value(text)


class TestDepth:
    @pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
    def test_at_the_bound_and_beyond(self, opening, closing):
        """Arrays and objects count alike."""
        levels = MAX_NESTING // opening.count(b"[") if opening == b"[" else MAX_NESTING
        levels = MAX_NESTING // 2 if opening.startswith(b"[{") else levels
        fits = opening * levels + b"1" + closing * levels
        assert fits == value(fits)
        with pytest.raises(InvalidValueError, match=f"nested more than {MAX_NESTING} deep"):
            value(b"[" + fits + b"]")

    def test_brackets_beside_each_other_or_in_strings_do_not_count(self):
        """Only how deep they nest."""
        for text in (b"[%s]" % b",".join([b"[]"] * 1000), b'"%s"' % (b"[" * 1000), b'["\\"[[[[","%s"]' % (b"{" * 1000)):
            assert text == value(text)


class TestSizes:
    def test_the_largest_passes_and_one_byte_more_is_refused(self):
        """With both sizes and the setting."""
        assert b'"%s"' % (b"x" * 8) == compact(b' "%s" ' % (b"x" * 8), "k", 10)
        with pytest.raises(
            ValueTooLargeError, match=r"'k' has 11 bytes .* limit is 10 \(setting max_value_bytes\)"
        ) as caught:
            compact(b'"%s"' % (b"x" * 9), "k", 10)

        assert ("k",) == caught.value.keys

    @pytest.mark.parametrize(
        ("escaped", "stands_for"),
        [
            (b"\\u0061", b"a"),
            (b"\\u00e9", "é".encode()),
            (b"\\u20ac", "€".encode()),
            (b"\\ud83d\\ude00", "😀".encode()),
        ],
    )
    def test_escapes_count_as_what_they_stand_for(self, escaped, stands_for):
        """A value that is too large only by its escapes is stored without them."""
        largest = 2 + len(stands_for) * 10
        assert b'"%s"' % (stands_for * 10) == compact(b'"%s"' % (escaped * 10), "k", largest)
        with pytest.raises(ValueTooLargeError):
            compact(b'"%s"' % (escaped * 10), "k", largest - 1)

    @pytest.mark.parametrize(
        ("inside", "error"),
        [
            (b"7" * 4301, "4300 digits"),
            (b"1e400", "double"),
            (b'"\\ud800"', "surrogate"),
            (b"[" * 300 + b"]" * 300, "190 deep"),
            (b"[" * 990 + b"]" * 990, "190 deep"),
        ],
        ids=["digits", "double", "surrogate", "deep", "deeper"],
    )
    def test_what_is_wrong_in_a_value_with_many_escapes_is_refused_as_ever(self, inside, error):
        """Also where it has to be written anew for its size."""
        with pytest.raises(InvalidValueError, match=error):
            compact(b'["%s",%s]' % (b"\\u0061" * 1000, inside), "k", 5990 + len(inside))

    @given(json_values, st.integers(0, 60))
    def test_a_value_passes_if_its_compact_form_fits(self, given_value, most):
        """Exactly then, if it has escapes or not."""
        spelled = json.dumps(given_value).encode()
        shortest = json.dumps(given_value, ensure_ascii=False, separators=(",", ":"))
        if re.search("[\ud800-\udfff]", shortest):
            return
        if len(shortest.encode()) <= most:
            assert given_value == json.loads(compact(spelled, "k", most))
        else:
            with pytest.raises(ValueTooLargeError):
                compact(spelled, "k", most)
