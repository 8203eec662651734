"""Numbers for Prometheus: of this process, counted from its start. Each gateway has a registry of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REMOTE = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All metrics of a gateway. Labels hold only what the configuration and the routes table name, never a person."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.jobs = Gauge("gateway_jobs", "Jobs by state", ["state"], registry=registry)
        self.driving = Gauge("gateway_driving", "Whether this process acts on jobs", registry=registry)
        self.last_event = Gauge("gateway_last_event", "Sequence of the newest event", registry=registry)
        self.targets = Gauge("gateway_target_ok", "Whether a target answers", ["target"], registry=registry)
        self.ticks = Histogram(
            "gateway_tick_seconds", "Time of a tick of the engine", ["target"], buckets=_REMOTE, registry=registry
        )
        self.commands = Histogram(
            "gateway_remote_command_seconds",
            "Commands on targets, and whether an answer came",
            ["target", "answered"],
            buckets=_REMOTE,
            registry=registry,
        )
        self.requests = Counter(
            "gateway_http_requests", "Requests by route and status", ["method", "route", "status"], registry=registry
        )
        self.latency = Histogram(
            "gateway_http_seconds", "Time until the answer was sent", ["route"], buckets=_FAST, registry=registry
        )
        self.errors = Counter(
            "gateway_errors", "What failed in the gateway, by kind of problem", ["where", "kind"], registry=registry
        )
        self.pulls = Counter("gateway_image_pulls", "Images that jobs asked for", ["result"], registry=registry)
        self.pass_bytes = Counter(
            "gateway_pass_bytes", "Bytes copied to stores while jobs ran", ["store"], registry=registry
        )
        self.output_bytes = Counter(
            "gateway_output_bytes", "Bytes of ended jobs found in stores", ["store", "state"], registry=registry
        )
        self.backlog = Gauge(
            "gateway_backlog_bytes", "Bytes of running jobs that are not in a store yet", ["store"], registry=registry
        )
        self.lag = Gauge(
            "gateway_backlog_seconds", "How long the oldest of them has waited", ["store"], registry=registry
        )
        self.rescues = Gauge(
            "gateway_rescues_waiting", "Jobs whose outputs are tried again later", ["store"], registry=registry
        )
        self.ended = Counter("gateway_jobs_ended", "Jobs that ended", ["state", "reason"], registry=registry)

    def watch_commands(self, target: str) -> Callable[[float, bool], None]:
        """Return what a transport tells of its commands."""
        found = {answered: self.commands.labels(target, str(answered).lower()) for answered in (True, False)}
        return lambda seconds, answered: found[answered].observe(seconds)

    @contextlib.contextmanager
    def tick(self, target: str) -> Iterator[None]:
        """Measure a tick."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.ticks.labels(target).observe(time.monotonic() - began)

    def count_events(self, events: Iterable[Mapping[str, Any]], ended: frozenset[str]) -> None:
        """Count what events tell: pulls, passes, endings. `ended` are the states that end a job."""
        for event in events:
            kind, data = event["kind"], event["data"]
            if kind == "phase" and data.get("phase") == "pulled":
                self.pulls.labels("cached" if data.get("cached") else "pulled").inc()
            elif kind == "outputs" and data.get("state") is None:
                self.pass_bytes.labels(data.get("store")).inc(data.get("bytes") or 0)
            elif kind == "outputs":
                self.output_bytes.labels(data.get("store"), data["state"]).inc(data.get("bytes") or 0)
            elif kind == "state" and data.get("to") in ended:
                self.ended.labels(data["to"], data.get("reason") or "").inc()
                if data.get("reason") == "image_pull_failed":
                    self.pulls.labels("failed").inc()

    def show_backlogs(self, backlogs: Mapping[str, tuple[int, float]], rescues: Mapping[str, int]) -> None:
        """Show how far stores are behind (bytes, seconds), and how many jobs' outputs are tried again, by store."""
        for gauge in (self.backlog, self.lag, self.rescues):
            gauge.clear()
        for store, (size, seconds) in backlogs.items():
            self.backlog.labels(store).set(size)
            self.lag.labels(store).set(seconds)
        for store, count in rescues.items():
            self.rescues.labels(store).set(count)

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self.registry)
