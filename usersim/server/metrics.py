"""Metrics for Prometheus: how much is asked, how long it takes, how full the queue is.

No label and no value names a person, a model id or a text.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["METRICS_TYPE", "Metrics"]

METRICS_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The figures of one server, in a registry of their own.

    Args:
        waiting: Tells how many answers wait for a batch.
        streams: Tells how many live streams run or wait.
    """

    def __init__(self, *, waiting: Callable[[], int], streams: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "usersim_requests",
            "Requests that were answered.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "usersim_request_seconds",
            "Time from receiving a request to the end of the reply.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._batches = Histogram(
            "usersim_batch_answers", "Answers in one batch.", buckets=_SIZES, registry=registry
        )
        self._batch_seconds = Histogram(
            "usersim_batch_seconds", "Seconds per batch.", buckets=_SECONDS, registry=registry
        )
        self._tokens = Counter(
            "usersim_tokens", "Tokens of prompts and answers.", ("part",), registry=registry
        )
        self._answers = Counter(
            "usersim_answers", "Answers, by outcome.", ("outcome",), registry=registry
        )
        self._faults = Counter(
            "usersim_engine_faults",
            "Batches and streams that failed in the engine.",
            registry=registry,
        )
        self._unkept = Counter(
            "usersim_answers_not_kept",
            "Answers that could not be stored.",
            registry=registry,
        )
        Gauge(
            "usersim_waiting_answers", "Answers waiting for a batch.", registry=registry
        ).set_function(waiting)
        Gauge("usersim_streams", "Streams running or waiting.", registry=registry).set_function(
            streams
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, answers: int, seconds: float) -> None:
        """Count a batch."""
        self._batches.observe(answers)
        self._batch_seconds.observe(seconds)

    def tokens(self, *, prompt: int, reasoning: int, action: int) -> None:
        """Count the tokens of a reply."""
        for part, n in (("prompt", prompt), ("reasoning", reasoning), ("action", action)):
            self._tokens.labels(part).inc(n)

    def answer(self, outcome: str) -> None:
        """Count an answer: `answered`, `malformed`, or `dropped` where the client had gone."""
        self._answers.labels(outcome).inc()

    def fault(self) -> None:
        """Count a failure of the engine."""
        self._faults.inc()

    def unkept(self, answers: int) -> None:
        """Count answers that could not be stored."""
        self._unkept.inc(answers)

    def page(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
