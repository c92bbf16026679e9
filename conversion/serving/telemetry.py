"""Prometheus metrics of the service and all its workers."""

from __future__ import annotations

import os
import time
from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

from conversion.serving.messages import Prediction
from conversion.serving.refusals import Reason

SCORE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
# BentoML's names and labels, so that its dashboards work here. Its own middleware is off: it labels by path,
# which makes some twenty series for each company whose lead is asked for.
NAMESPACE: Final = "bentoml_service"
REQUEST_LABELS: Final = ("endpoint", "service_name", "service_version", "http_response_code", "runner_name")


@dataclass
class Observed:
    """The route of one request and the status of its answer."""

    endpoint: str = "other"
    status: int = HTTPStatus.INTERNAL_SERVER_ERROR


class Telemetry:
    """The metrics, made once a worker.

    Parameters
    ----------
    service_name, service_version
        Labels, as in BentoML's own metrics.
    """

    def __init__(self, service_name: str, service_version: str) -> None:
        # Imported here: at import it reads PROMETHEUS_MULTIPROC_DIR to decide whether workers share metrics.
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = CollectorRegistry()
        common: dict[str, Any] = {"registry": self.registry}
        self._names = (service_name, service_version)
        self._predictions = Counter(
            "conversion_predictions", "Predictions by basis and tier", ("basis", "tier"), **common
        )
        self._score = Histogram(
            "conversion_score", "Predicted probabilities", buckets=SCORE_BUCKETS, **common
        )
        self._rejected = Counter("conversion_rejected", "Refused requests by reason", ("reason",), **common)
        self._requests = Counter(f"{NAMESPACE}_request", "Requests", REQUEST_LABELS, **common)
        self._duration = Histogram(
            f"{NAMESPACE}_request_duration_seconds", "Seconds a request", REQUEST_LABELS, **common
        )

    def count_predictions(self, predictions: Sequence[Prediction]) -> None:
        """Count predictions and their scores."""
        for (basis, tier), count in Tally((answer.basis, answer.tier) for answer in predictions).items():
            self._predictions.labels(basis, tier).inc(count)
        for answer in predictions:
            self._score.observe(answer.conversion_probability)

    @cached_property
    def _unseen(self) -> Any:
        """Made with the first such value: many contracts can have none."""
        from prometheus_client import Counter

        name, help_text = "conversion_unseen_levels", "Values that the model has not seen, by attribute"
        return Counter(name, help_text, ("attribute",), registry=self.registry)

    def count_unseen(self, levels: Mapping[str, int]) -> None:
        """Count values of categories that the model has not seen."""
        for attribute, count in levels.items():
            self._unseen.labels(attribute).inc(count)

    def count_refused(self, reason: Reason) -> None:
        """Count a refused request."""
        self._rejected.labels(reason).inc()

    @contextmanager
    def request(self) -> Iterator[Observed]:
        """Count and time one request; the block sets its route and status."""
        start, observed = time.perf_counter(), Observed()
        try:
            yield observed
        finally:
            name, version = self._names
            labels = (observed.endpoint, name, version, str(int(observed.status)), name)
            self._requests.labels(*labels).inc()
            self._duration.labels(*labels).observe(time.perf_counter() - start)

    def exposition(self) -> tuple[bytes, str]:
        """Return the metrics of all workers as text, and its media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self.registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST
