"""Durations counted between bounds."""

from hypothesis import given
from hypothesis import strategies as st

from kvd.histogram import BOUNDS, Histogram

durations = st.floats(0, 20) | st.sampled_from(BOUNDS)


@given(noted=st.lists(durations, max_size=50), added=st.lists(st.tuples(durations, st.integers(1, 64)), max_size=5))
def test_counts_are_those_of_counting_one_by_one(noted, added):
    """Whether a duration was noted for later or counted at once; a bound counts what is as long as it."""
    histogram = Histogram()
    for number, seconds in enumerate(noted):
        histogram.note(seconds)
        if number % 7 == 0:
            histogram.fold()
    for seconds, times in added:
        histogram.add(seconds, times)

    everything = [*noted, *(seconds for seconds, times in added for _ in range(times))]
    expected = [0] * (len(BOUNDS) + 1)
    for seconds in everything:
        expected[next((number for number, bound in enumerate(BOUNDS) if seconds <= bound), -1)] += 1
    fields = histogram.fields()
    assert expected == fields["counts"]
    assert abs(sum(everything) - fields["seconds"]) < 1e-5


def test_bounds_are_read_by_people():
    """10 µs to 10 s, in steps of 1, 2 and 5, and each as a float is the shortest text for it."""
    assert "1e-05 2e-05 5e-05 0.0001 0.0002 0.0005 0.001" == " ".join(map(repr, BOUNDS[:7]))
    assert (10.0, 19, sorted(BOUNDS)) == (BOUNDS[-1], len(BOUNDS), list(BOUNDS))
