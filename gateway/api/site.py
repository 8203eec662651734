"""The functions behind the routes about the gateway itself: targets, stores, health, metrics."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel, Field

from gateway import __version__
from gateway.api.messages import Reply, Request, json_reply
from gateway.api.route import PUBLIC, READ, TEXT, WRITE, Route
from gateway.app import Gateway
from gateway.compute.check import check_target as probe_target
from gateway.compute.target import Target
from gateway.db import events, jobs
from gateway.errors import GatewayError, NotFound
from gateway.jobs.views import API
from gateway.metrics import CONTENT_TYPE
from gateway.model.job import Answer, Probe, StoreInfo, TargetInfo
from gateway.model.states import State
from gateway.people.access import lane_of, may_use_target, visible


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
    lease: str = Field(
        default="none",
        description="`held`: this process acts on jobs. `elsewhere`: another one does, and this one takes over when it "
        "ends. `none`: it only serves.",
    )
    targets: dict[str, int] = Field(default_factory=dict, description="How many targets are in each state.")
    version: str = __version__


async def list_targets(gateway: Gateway, request: Request) -> TargetPage:
    """List the targets that the person may use, and what is known of them."""
    live = await gateway.database.read(jobs.count_live)
    names = visible(gateway.settings, gateway.targets, request.owner)
    return TargetPage(items=[_info(gateway, _lane(gateway, name, request), live) for name in names])


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
    name = request.path["name"]
    if name not in gateway.targets or not may_use_target(gateway.settings, name, request.owner):
        raise NotFound(f"there is no target {name[:64]!a}")
    return _lane(gateway, name, request)


def _lane(gateway: Gateway, name: str, request: Request) -> Target:
    """Return the target as the person uses it: with an own account where there is one."""
    return gateway.lanes[lane_of(gateway.settings, name, request.owner)]


def _info(gateway: Gateway, target: Target, live: dict[str, int]) -> TargetInfo:
    status = gateway.board[target.name]
    return TargetInfo(
        name=target.public_name,
        transport=target.transport.kind,
        scheduler=target.scheduler.kind,
        runtime=target.runtime_settings.kind,
        state=status.state,
        message=status.message,
        observed_at=status.observed_at,
        live_jobs=live.get(target.public_name, 0),
    )


async def list_stores(gateway: Gateway, request: Request) -> StorePage:
    """List the stores that the person may use."""
    mine = visible(gateway.settings, gateway.stores, request.owner, stores=True)
    return StorePage(
        items=[
            StoreInfo(name=name, kind=store.kind, layout=store.settings.layout, transfer=store.settings.transfer)
            for name, store in gateway.stores.items()
            if name in mine
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
    states = Counter(gateway.board[name].state for name in gateway.targets)
    found = Readiness(
        status=word, database=word, driving=gateway.driving, lease=gateway.lease, targets=dict(sorted(states.items()))
    )
    return json_reply(found, 200 if ready else 503, {"Cache-Control": "no-store"})


async def metrics(gateway: Gateway, request: Request) -> Reply:  # noqa: ARG001
    """Give numbers for Prometheus."""
    numbers = gateway.metrics
    counts = await gateway.database.read(jobs.count_by_state)
    for state in State:
        numbers.jobs.labels(str(state)).set(counts.get(str(state), 0))
    for name in gateway.lanes:
        numbers.targets.labels(name.partition("@")[0]).set(0)
    for target in gateway.lanes.values():
        if gateway.board[target.name].state == "ok":
            numbers.targets.labels(target.public_name).set(1)
    numbers.driving.set(gateway.driving)
    numbers.last_event.set(await gateway.count_new_events())
    return Reply(200, {"Content-Type": CONTENT_TYPE}, numbers.text())


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
