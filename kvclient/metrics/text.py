"""Metrics as text: Prometheus' exposition format 0.0.4."""

from collections.abc import Iterator, Mapping

from kvclient.metrics.families import FAMILIES, Buckets, Family, Told


def text(stores: Mapping[str, Told | None]) -> str:
    """Return the metrics of stores by their names; None stands for one whose daemon does not answer."""
    return "".join(line + "\n" for family in FAMILIES for line in _family(family, stores))


def _family(family: Family, stores: Mapping[str, Told | None]) -> Iterator[str]:
    samples = [line for store, told in stores.items() for line in _samples(family, store, told)]
    if samples:
        yield f"# HELP {family.name} {_escaped(family.help)}"
        yield f"# TYPE {family.name} {family.kind}"
        yield from samples


def _samples(family: Family, store: str, told: Told | None) -> Iterator[str]:
    for label_values, value in family.of(told):
        labels = {"store": store, **dict(zip(family.labels, label_values, strict=True))}
        if isinstance(value, Buckets):
            for bound, count in value.upto:
                yield f"{family.name}_bucket{_labels({**labels, 'le': bound})} {count}"
            yield f"{family.name}_sum{_labels(labels)} {value.seconds}"
            yield f"{family.name}_count{_labels(labels)} {value.upto[-1][1]}"
        else:
            yield f"{family.name}{_labels(labels)} {int(value) if isinstance(value, bool) else value}"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items()) + "}"


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"')
