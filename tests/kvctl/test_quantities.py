"""Numbers and text as a terminal shows them."""

import json

import pytest

from kvclient.screen.quantities import remaining
from kvclient.screen.text import shown
from kvclient.screen.width import columns, cut, padded


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0.5, "0s"), (59.9, "59s"), (60, "1m 0s"), (252.3, "4m 12s"), (3600, "1h 0m"), (90000, "1d 1h")],
)
def test_remaining_time(seconds, text):
    """In its two largest units."""
    assert text == remaining(seconds)


@pytest.mark.parametrize("width", range(1, 12))
@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "a long text",
        "鍵鍵鍵",
        "e\u0301te\u0301 e\u0301te\u0301 e\u0301te\u0301",
        "a鍵b鍵c鍵",
        "👩\u200d🚀👩\u200d🚀",
        "❤\ufe0f❤\ufe0f",
    ],
)
def test_cut_text_fits(text, width):
    """Also where characters take two columns or none; what fits stays as it is."""
    assert columns(cut(text, width)) <= width
    assert width == columns(padded(text, width))
    assert text == cut(text, max(1, columns(text)))


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("e\u0301", 1),
        ("鍵", 2),
        ("👩\u200d🚀", 4),
        ("❤\ufe0f", 1),
        ("\u1112\u1161\u11ab", 2),
        ("\u0645\u200c\u0646", 2),
    ],
)
def test_columns_of_composed_characters(text, width):
    """Accents, joiners, selectors and joined Jamo take no column of their own."""
    assert width == columns(text)


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\ufeff", "\u2028", "\u2060", "\u3164", "\U000e0041", "\u202e"])
def test_what_nobody_sees_is_shown(hidden):
    """Two keys that differ do not look the same. The escapes are those of JSON."""
    text = f"key{hidden}1"

    assert hidden not in shown(text)
    assert text == json.loads(f'"{shown(text)}"')


def test_emoji_and_persian_stay_as_they_are():
    """Their joiners are part of how they are written."""
    for text in ("👩\u200d🚀", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "❤\ufe0f", "ü鍵שלום"):
        assert text == shown(text)
