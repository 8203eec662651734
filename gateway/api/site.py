"""The functions behind the routes about the gateway itself: targets, stores, health, metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, Field
from sqlalchemy import RowMapping

from gateway import __version__
from gateway.api.messages import Reply, Request, json_reply
from gateway.api.route import PUBLIC, READ, TEXT, WRITE, Route
from gateway.app import Gateway
from gateway.compute.check import check_target as probe_target
from gateway.compute.target import Target
from gateway.compute.transport.budget import Budget
from gateway.db import behind, events, jobs, leases
from gateway.errors import GatewayError, NotFound
from gateway.jobs.board import TargetStatus
from gateway.jobs.views import API
from gateway.metrics import CONTENT_TYPE
from gateway.model.job import Answer, Probe, StoreInfo, TargetBudget, TargetInfo
from gateway.model.states import State
from gateway.people.access import lane_of, may_use_target, visible

Held = Mapping[str, RowMapping]
"""Leases by lane."""


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
    process: str = Field(default="", description="The name of this process among those that share the database.")
    leases: dict[str, int] = Field(
        default_factory=dict,
        description="How many targets and accounts each process drives, where several share a database.",
    )
    targets: dict[str, int] = Field(default_factory=dict, description="How many targets are in each state.")
    version: str = __version__


async def list_targets(gateway: Gateway, request: Request) -> TargetPage:
    """List the targets that the person may use, and what is known of them."""
    live = await gateway.database.read(jobs.count_live)
    names = visible(gateway.settings, gateway.targets, request.owner)
    held = await gateway.database.read(leases.current)
    return TargetPage(items=[_info(gateway, _lane(gateway, name, request), live, held) for name in names])


async def get_target(gateway: Gateway, request: Request) -> TargetInfo:
    """Show one target."""
    target = _target(gateway, request)
    live = await gateway.database.read(jobs.count_live)
    return _info(gateway, target, live, await gateway.database.read(leases.current))


async def check_target(gateway: Gateway, request: Request) -> ProbePage:
    """Look at everything that jobs need on a target. A refused login is tried again: a person asked for it."""
    target = _target(gateway, request)
    target.transport.reset()
    items = await probe_target(target)
    gateway.neighbours.check(target.name)
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


def _status(gateway: Gateway, lane: str, held: Held) -> TargetStatus:
    """Return what whoever drives a lane last saw: this process, or another one by its lease."""
    lease = held.get(lane)
    if lease is None or lease["holder"] == gateway.database.name or not lease["status"]:
        return gateway.board[lane]
    at = lease["status"]["observed_at"]
    return TargetStatus(lease["status"]["state"], lease["status"]["message"], at and datetime.fromisoformat(at))


def _info(gateway: Gateway, target: Target, live: dict[str, int], held: Held) -> TargetInfo:
    status, lease, budget = _status(gateway, target.name, held), held.get(target.name), target.transport.budget
    driver = lease["holder"] if lease is not None else gateway.database.name if target.name in gateway.driven else None
    return TargetInfo(
        name=target.public_name,
        transport=target.transport.kind,
        scheduler=target.scheduler.kind,
        runtime=target.runtime_settings.kind,
        state=status.state,
        message=status.message,
        observed_at=status.observed_at,
        live_jobs=live.get(target.public_name, 0),
        driver=driver,
        lease_expires_at=lease["expires_at"] if lease is not None else None,
        budget=TargetBudget() if budget is None else _budget(budget),
    )


def _budget(budget: Budget) -> TargetBudget:
    return TargetBudget(
        **budget.settings.model_dump(),
        used=max(budget.used_by_all, budget.used),
        open=budget.open,
        connections=budget.connections,
        processes=budget.processes,
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
        held = await gateway.database.read(leases.current)
        ready = True
    except GatewayError:
        ready, held = False, {}
    word = "ok" if ready else "unavailable"
    states = Counter(_status(gateway, name, held).state for name in gateway.targets)
    found = Readiness(
        status=word,
        database=word,
        driving=gateway.driving,
        lease=gateway.lease,
        process=gateway.database.name,
        leases=Counter(row["holder"] for row in held.values()),
        targets=dict(sorted(states.items())),
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
    backlogs, waiting = await gateway.database.read(lambda c: (behind.by_store(c), behind.count_rescues(c)))
    now = datetime.now(UTC)
    numbers.show_backlogs(
        {
            store: (size, max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0)
            for store, (size, oldest) in backlogs.items()
        },
        waiting,
    )
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
