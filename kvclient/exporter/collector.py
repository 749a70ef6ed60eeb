"""What stores tell, as prometheus-client's metrics: asked anew for each scrape."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from kvclient.client.stores import described
from kvclient.contract.errors import DataStoreError
from kvclient.metrics.asking import Source, ask, source
from kvclient.metrics.families import FAMILIES, Buckets, Family, Told
from kvclient.metrics.readiness import unready
from kvclient.screen.console import complain

_KINDS = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
_AT_A_TIME = 16
"""Stores that are asked at the same time."""


class Stores:
    """The stores that are asked, and a collector of their metrics (`prometheus_client.registry.Collector`)."""

    def __init__(self, named: list[str], timeout: float) -> None:
        """`named` are names or endpoints; none means all stores of this user. Raises `DataStoreError` for one that can
        be neither. `timeout` is in seconds, for each of them; up to 16 are asked at a time.
        """
        self._named = [source(endpoint=name) if "://" in name else source(store=name) for name in named]
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="kvd-exporter")
        self._complained: dict[str, str] = {}
        """What was said of the stores that did not tell their metrics when they were asked last."""

    def collect(self) -> Iterator[Metric]:
        """Ask all stores, and yield their metrics."""
        found = self._ask()
        told = {store: None if isinstance(each, DataStoreError) else each for store, each in found.items()}
        metrics = (_metric(family, told) for family in FAMILIES)
        yield from (metric for metric in metrics if metric.samples)

    def describe(self) -> list[Metric]:
        """Return nothing: to be registered is no reason to ask."""
        return []

    def unready(self) -> list[str]:
        """Ask all stores, and return a line for each that would not store a value now, with the reason."""
        found = self._ask()
        reasons = {
            store: str(told) if isinstance(told, DataStoreError) else unready(told) for store, told in found.items()
        }
        lines = [f"{store}: {' '.join(reason.split())}" for store, reason in reasons.items() if reason is not None]
        return lines if found else ["There are no stores."]

    def _ask(self) -> dict[str, Told | DataStoreError]:
        sources = self._named or [Source(store.name, store.endpoint) for store in described()]
        return dict(zip((each.store for each in sources), self._threads.map(self._ask_one, sources), strict=True))

    def _ask_one(self, source: Source) -> Told | DataStoreError:
        try:
            told = ask(source.endpoint, self._timeout)
        except DataStoreError as error:
            self._complain(source.store, error)
            return error
        self._complained.pop(source.store, None)
        return told

    def _complain(self, store: str, error: DataStoreError) -> None:
        """Say on standard error why a store does not tell its metrics: once, and not at each scrape."""
        reason = " ".join(error.message.split())
        if self._complained.get(store) != reason:
            self._complained[store] = reason
            complain(f"kvd-exporter: {store}: {reason}")


def _metric(family: Family, stores: Mapping[str, Told | None]) -> Metric:
    metric: Any = _KINDS[family.kind](family.name, family.help, labels=["store", *family.labels])
    for store, told in stores.items():
        for labels, value in family.of(told):
            if isinstance(value, Buckets):
                metric.add_metric([store, *labels], value.upto, value.seconds)
            else:
                metric.add_metric([store, *labels], float(value))
    return cast("Metric", metric)
