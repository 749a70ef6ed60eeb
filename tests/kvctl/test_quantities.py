"""Numbers and text as a terminal shows them."""

import pytest

from kvclient.screen.quantities import remaining
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
    "text", ["", "abc", "a long text", "鍵鍵鍵", "e\u0301te\u0301 e\u0301te\u0301 e\u0301te\u0301", "a鍵b鍵c鍵"]
)
def test_cut_text_fits(text, width):
    """Also where characters take two columns or none; what fits stays as it is."""
    assert columns(cut(text, width)) <= width
    assert width == columns(padded(text, width))
    assert text == cut(text, max(1, columns(text)))
