"""Metrics in the text format of Prometheus, over `prometheus_client` (which libp2p needs anyway).

Each node has its own registry, so that many can be in one process. Labels have few values: names of routes as they
are written down here, never paths as they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dkg.errors import DkgError
from node.workers.pool import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

    from node.serving import Service
    from node.workers.jobs import Runner

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Of seconds."""

STATUS_VALUES_MAX: Final = 200
"""Most numbers of `Service.status` that are shown."""


class Metrics:
    """The metrics of one node's HTTP side, and what the node says of itself."""

    def __init__(self, service: Service, runner: Runner, clock: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dkg_http_requests", "Requests that were answered", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "dkg_http_request_seconds",
            "Time until an answer was sent",
            ["route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.problems = Counter("dkg_http_problems", "Answers that are problems", ["code"], registry=self.registry)
        self.sent = Counter("dkg_http_sent_bytes", "Bytes of bodies that were sent", registry=self.registry)
        self.answering = Gauge("dkg_http_answering", "Requests that are being answered", registry=self.registry)
        self.connections = Gauge("dkg_http_connections", "Connections that are open", registry=self.registry)
        self.refused = Counter(
            "dkg_http_refused_connections", "Connections that were refused or cut", ["why"], registry=self.registry
        )
        self.remembered = Counter(
            "dkg_http_remembered", "Answers that were remembered and given again", registry=self.registry
        )
        self.registry.register(_Node(service, runner, clock))
        self._answered: dict[tuple[str, str, int], Counter] = {}
        self._seconds: dict[str, Histogram] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered. `route`, `method`: of a few that there are."""
        counter = self._answered.get((route, method, status))  # looking for it by its labels takes longer
        if counter is None:
            counter = self._answered[route, method, status] = self.requests.labels(route, method, str(status))
            self._seconds[route] = self.seconds.labels(route)
        counter.inc()
        self._seconds[route].observe(seconds)

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self.registry)


class _Node(Collector):
    """What is asked of the node when somebody looks."""

    def __init__(self, service: Service, runner: Runner, clock: Callable[[], float]) -> None:
        self._service, self._runner, self._clock = service, runner, clock

    def describe(self) -> Iterator[Metric]:
        """Nothing: else registering this would ask the node."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        yield from self._standing()
        yield from self._status()
        if isinstance(self._runner, Workers):
            yield from self._workers(self._runner)

    def _standing(self) -> Iterator[Metric]:
        try:
            standing = self._service.standing(None)
        except DkgError:  # nothing is here yet, which is no reason to tell nothing at all
            yield _gauge("dkg_ready", "Whether there is a union to answer from", 0)
            return
        yield _gauge("dkg_ready", "Whether there is a union to answer from", 1)
        yield _gauge("dkg_block", "Number of the newest block that was read", standing.block)
        yield _gauge("dkg_block_age_seconds", "Age of that block", max(0.0, self._clock() - standing.block_time))
        yield _gauge("dkg_log_position", "Commits that the union takes into account", standing.position)
        yield _gauge("dkg_behind", "Commits that the chain has and this node has not", standing.behind)
        yield _gauge("dkg_publishers", "Publishers in the union", len(standing.publishers))

    def _status(self) -> Iterator[Metric]:
        try:
            status = self._service.status()
        except DkgError:
            return
        family = GaugeMetricFamily("dkg_status", "Numbers of /v1/status, by where they stand there", labels=["name"])
        for _, (name, value) in zip(range(STATUS_VALUES_MAX), _numbers(status), strict=False):
            family.add_metric([name], value)
        yield family

    def _workers(self, workers: Workers) -> Iterator[Metric]:
        state = workers.state()
        yield _gauge("dkg_workers", "Workers", state.workers)
        yield _gauge("dkg_workers_idle", "Workers with nothing to do", state.idle)
        yield _gauge("dkg_jobs_waiting", "Jobs that wait for a worker", state.waiting)
        yield _gauge(
            "dkg_workers_started", "Workers that were started, those that replaced others included", state.started
        )
        family = GaugeMetricFamily("dkg_jobs", "Jobs by what came of them", labels=["outcome"])
        for outcome, count in sorted(state.outcomes.items()):
            family.add_metric([outcome], count)
        yield family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _numbers(value: object, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in a JSON object, with the names that lead to them; lists are left out."""
    if isinstance(value, bool | int | float):
        yield name, float(value)
    elif isinstance(value, dict):
        for key in value:
            yield from _numbers(value[key], f"{name}.{key}" if name else str(key))
