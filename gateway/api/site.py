"""The functions behind the routes about the gateway itself: targets, stores, health, metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from pydantic import BaseModel

from gateway import __version__
from gateway.api.messages import Reply, Request, json_reply
from gateway.api.route import PUBLIC, READ, TEXT, WRITE, Route
from gateway.app import Gateway
from gateway.compute.check import check_target as probe_target
from gateway.compute.target import Target
from gateway.db import events, jobs
from gateway.errors import GatewayError, NotFound
from gateway.jobs.views import API
from gateway.model.job import Answer, Probe, StoreInfo, TargetInfo
from gateway.model.states import State


class TargetPage(Answer):
    """All targets."""

    items: list[TargetInfo]
    next_cursor: str | None = None


class StorePage(Answer):
    """All stores."""

    items: list[StoreInfo]
    next_cursor: str | None = None


class ProbePage(Answer):
    """What a check found, one line each."""

    items: list[Probe]
    next_cursor: str | None = None


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """Whether requests can be carried out, and whether this process acts on jobs."""

    status: str
    database: str
    driving: bool
    version: str = __version__


async def list_targets(gateway: Gateway, request: Request) -> TargetPage:  # noqa: ARG001
    """List the targets and what is known of them."""
    live = await gateway.database.read(jobs.count_live)
    return TargetPage(items=[_info(gateway, target, live) for target in gateway.targets.values()])


async def get_target(gateway: Gateway, request: Request) -> TargetInfo:
    """Show one target."""
    target = _target(gateway, request)
    return _info(gateway, target, await gateway.database.read(jobs.count_live))


async def check_target(gateway: Gateway, request: Request) -> ProbePage:
    """Look at everything that jobs need on a target. A refused login is tried again: a person asked for it."""
    target = _target(gateway, request)
    target.transport.reset()
    items = await probe_target(target)
    gateway.bell.ring(target.name)
    return ProbePage(items=items)


def _target(gateway: Gateway, request: Request) -> Target:
    found = gateway.targets.get(request.path["name"])
    if found is None:
        raise NotFound(f"there is no target {request.path['name'][:64]!a}")
    return found


def _info(gateway: Gateway, target: Target, live: dict[str, int]) -> TargetInfo:
    status = gateway.board[target.name]
    return TargetInfo(
        name=target.name,
        transport=target.transport.kind,
        scheduler=target.scheduler.kind,
        runtime=target.runtime_settings.kind,
        state=status.state,
        message=status.message,
        observed_at=status.observed_at,
        live_jobs=live.get(target.name, 0),
    )


async def list_stores(gateway: Gateway, request: Request) -> StorePage:  # noqa: ARG001
    """List the stores."""
    return StorePage(
        items=[
            StoreInfo(name=name, kind=store.kind, layout=store.settings.layout, transfer=store.settings.transfer)
            for name, store in gateway.stores.items()
        ]
    )


async def healthz(gateway: Gateway, request: Request) -> Health:  # noqa: ARG001
    """Say that the process answers."""
    return Health()


async def readyz(gateway: Gateway, request: Request) -> Reply:  # noqa: ARG001
    """Say whether requests can be carried out."""
    try:
        await gateway.database.read(events.last_sequence)
        ready = True
    except GatewayError:
        ready = False
    word = "ok" if ready else "unavailable"
    return json_reply(Readiness(status=word, database=word, driving=gateway.driving), 200 if ready else 503)


async def metrics(gateway: Gateway, request: Request) -> Reply:  # noqa: ARG001
    """Give numbers for Prometheus."""
    registry = CollectorRegistry()
    by_state = Gauge("gateway_jobs", "Jobs by state", ["state"], registry=registry)
    counts = await gateway.database.read(jobs.count_by_state)
    for state in State:
        by_state.labels(state=str(state)).set(counts.get(str(state), 0))
    Gauge("gateway_driving", "Whether this process acts on jobs", registry=registry).set(gateway.driving)
    last = await gateway.database.read(events.last_sequence)
    Gauge("gateway_last_event", "Sequence of the newest event", registry=registry).set(last)
    return Reply(200, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}, generate_latest(registry))


ROUTES = (
    Route("GET", f"{API}/targets", list_targets, READ, "List targets", response_model=TargetPage),
    Route("GET", f"{API}/targets/{{name}}", get_target, READ, "Show a target", response_model=TargetInfo),
    Route("POST", f"{API}/targets/{{name}}/check", check_target, WRITE, "Check a target", response_model=ProbePage),
    Route("GET", f"{API}/stores", list_stores, READ, "List stores", response_model=StorePage),
    Route("GET", "/healthz", healthz, PUBLIC, "Whether the process answers", response_model=Health),
    Route(
        "GET",
        "/readyz",
        readyz,
        PUBLIC,
        "Whether requests can be carried out",
        response_model=Readiness,
        also=((503, "Not now"),),
    ),
    Route("GET", "/metrics", metrics, PUBLIC, "Numbers for Prometheus", media_types=TEXT),
)
