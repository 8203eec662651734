"""How long outputs are kept: what the rules would do, beginning it, and what people say about their own jobs.

Beginning writes works down; the engine carries them out (`gateway.engine.retention`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from gateway.db import cleanings, events
from gateway.db import jobs as job_table
from gateway.db import outputs as catalogue
from gateway.db import retention as table
from gateway.db.database import Database
from gateway.errors import ConfigurationError, Conflict, InvalidRequest
from gateway.jobs import cursors
from gateway.jobs.retention_rules import (
    Candidate,
    Removals,
    basis_of,
    check_patterns,
    check_rules,
    due_at,
    kept_back,
    wanted,
)
from gateway.jobs.rows import owned
from gateway.jobs.views import Row
from gateway.model.retention import (
    OWN,
    RESTORE,
    Begun,
    Coming,
    Hold,
    JobRetention,
    OwnRule,
    RetentionItem,
    RetentionPlan,
    RetentionRule,
    RetentionWork,
    RunRequest,
    is_closed,
)
from gateway.model.states import ENDED, State
from gateway.settings import Settings
from gateway.storage.patterns import parse_pattern
from gateway.storage.stores.base import Store

BELL = "retention works"
"""Rung when something was begun. No target has a name with a space."""
JOBS = 200
"""Ended jobs that are looked at together."""
ROWS = 5000
"""Outputs that are looked at together."""


class Retention:
    """Plans and begins what rules ask for, and keeps what people say about their own jobs.

    Raises
    ------
    ConfigurationError
        The rules have mistakes.
    """

    def __init__(self, database: Database, settings: Settings, stores: Mapping[str, Store]) -> None:
        if mistakes := check_rules(settings):
            raise ConfigurationError("the rules of retention have mistakes", mistakes)
        self.database = database
        self.settings = settings.retention
        self.stores = stores

    # --- rules

    async def plan(self, request: RunRequest, limit: int = 100, cursor: str | None = None) -> RetentionPlan:
        """Return a page of what would be done now, and what keeps the rest back. Nothing is changed."""
        after = _read_cursor(cursor)
        items: list[RetentionItem] = []
        while len(items) < limit:
            page, after = await self._page(request, after, min(limit, JOBS))
            for candidate in page:
                items.append(await self._measured(candidate))
            if after is None:
                break
        free = [item for item in items if item.blocked is None]
        following = cursors.encode("retention", cursors.encode_moment(after.ended_at), after.id) if after else None
        count, size = sum(item.count for item in free), sum(item.bytes for item in free)
        return RetentionPlan(items=items, count=count, bytes=size, next_cursor=following)

    async def begin(self, request: RunRequest, by: str) -> Begun:
        """Begin all that is due and that nothing keeps back."""
        works = blocked = 0
        after: table.Past | None = None
        while True:
            page, after = await self._page(request, after, JOBS)
            works += await self.database.write(lambda c, page=page: _begin(c, page, by))  # type: ignore[misc]
            blocked += sum(candidate.blocked is not None for candidate in page)
            if after is None:
                return Begun(works=works, blocked=blocked)

    async def _page(
        self, request: RunRequest, after: table.Past | None, limit: int
    ) -> tuple[list[Candidate], table.Past | None]:
        """Return what is due for the next jobs, and where to go on."""
        now = job_table.now()

        def read(connection: Connection) -> tuple[list[Candidate], table.Past | None]:
            days = [rule.after_days for rule in self._rules(request)]
            own = table.least_own_days(connection) if self.settings.owners and _named(request, OWN) else None
            least = min([*days, *([] if own is None else [own])], default=None)
            if least is None:
                return [], None
            before = now - timedelta(days=least)
            rows = table.ended_jobs(connection, before, after=after, limit=limit, only=request.jobs)
            found = list(self._candidates(connection, rows, request, now))
            last = table.Past(rows[-1]["ended_at"], rows[-1]["id"]) if len(rows) == limit else None
            return found, last

        return await self.database.read(read)

    def _rules(self, request: RunRequest) -> list[RetentionRule]:
        return [rule for rule in self.settings.rules if _named(request, rule.name)]

    def _candidates(
        self, connection: Connection, rows: Sequence[Row], request: RunRequest, now: datetime | None
    ) -> Iterator[Candidate]:
        """Yield what the rules are about; only what is due where a moment is given."""
        ids = [row["id"] for row in rows]
        stores, holds = job_table.stores_of(connection, ids), table.holds(connection, ids)
        works, own = table.works_of(connection, ids), table.own_rules(connection, ids)
        readers = table.readers(connection, ids)
        for row in rows:
            for name, rule, store in self._about(row, stores.get(row["id"], []), own.get(row["id"]), request):
                if now is not None and now < due_at(row["state"], row["ended_at"], rule):
                    continue
                tier = self._tier(rule, store)
                basis = basis_of(name, rule, tier)
                mine = [work for work in works.get(row["id"], []) if work["store"] == store]
                if any(work["done_at"] and work["basis"] == basis for work in mine):
                    continue
                chosen = [item for item in stores.get(row["id"], []) if item["store"] == store]
                blocked = self._blocked(
                    rule, store, tier, kept_back(holds.get(row["id"], []), readers.get(row["id"]), chosen)
                )
                if any(work["done_at"] is None for work in mine):
                    blocked = "something is being done with these outputs already"
                yield Candidate(row, store, name, rule, tier, basis, blocked)

    def _about(
        self, row: Row, stores: Sequence[Row], own: Any, request: RunRequest
    ) -> Iterator[tuple[str, OwnRule, str]]:
        """Yield the rules that are about an ended job, due or not, with each store that they are about."""
        there = [item["store"] for item in stores if item["count"]]
        if own is not None and self.settings.owners and _named(request, OWN):
            yield from ((OWN, OwnRule.model_validate(own), store) for store in there)
        for found in self._rules(request):
            about = (
                _among(found.targets, row["target"])
                and _among(found.cases, row["case"])
                and _among(found.owners, row["owner"])
                and _among(found.states, row["state"])
            )
            if about:
                yield from ((found.name, found, store) for store in there if _among(found.stores, store))

    def _tier(self, rule: OwnRule, store: str) -> str | None:
        if rule.action != "archive":
            return None
        backend = self.stores.get(store)
        return None if backend is None or backend.archive_tier is None else rule.tier or backend.archive_tier

    def _blocked(self, rule: OwnRule, store: str, tier: str | None, kept: str | None) -> str | None:
        if store not in self.stores:
            return f"store {store} is not configured any more"
        if rule.action == "archive" and tier is None:
            return f"store {store} has no archive tier"
        return kept

    async def _measured(self, candidate: Candidate) -> RetentionItem:
        count, size = await measure(self.database, candidate)
        row, rule = candidate.job, candidate.rule
        return RetentionItem(
            job_id=row["id"],
            job_name=row["name"],
            owner=row["owner"],
            ended_at=row["ended_at"],
            store=candidate.store,
            rule=candidate.name,
            action=rule.action,
            tier=candidate.tier,
            count=count,
            bytes=size,
            blocked=candidate.blocked,
        )

    async def works(self, limit: int, *, open_only: bool = False) -> list[RetentionWork]:
        """Return what was begun, newest first."""
        rows = await self.database.read(lambda c: table.latest_works(c, limit, open_only=open_only))
        return [RetentionWork.model_validate(dict(row)) for row in rows]

    # --- one job

    async def show(self, job_id: str, owner: str) -> JobRetention:
        """Return what holds for a job's outputs."""
        return await self.database.read(lambda c: self._shown(c, owned(c, job_id, owner)))

    async def hold(self, job_id: str, owner: str, *, by: str, why: str | None) -> JobRetention:
        """Keep a job's outputs until the hold is taken away. Somebody else than the owner holds as an administrator."""

        def write(connection: Connection) -> JobRetention:
            row = owned(connection, job_id, owner)
            job_table.state_of(connection, job_id)  # locked from here: retention looks in the same way
            table.put_hold(connection, job_id, _kind(row, by), by, job_table.now(), why)
            _tell(connection, row, "retention_held", by)
            return self._shown(connection, row)

        return await self.database.write(write)

    async def release(self, job_id: str, owner: str, *, by: str) -> JobRetention:
        """Take one's own hold away: an administrator's stays when the owner takes theirs; raises `Conflict`."""

        def write(connection: Connection) -> JobRetention:
            row = owned(connection, job_id, owner)
            if not table.lift_hold(connection, job_id, _kind(row, by)):
                raise Conflict("nobody of your kind holds these outputs")
            _tell(connection, row, "retention_released", by)
            return self._shown(connection, row)

        return await self.database.write(write)

    async def set_own(self, job_id: str, owner: str, rule: OwnRule | None, *, by: str) -> JobRetention:
        """Set or take away (None) what the owner asks for.

        Raises
        ------
        Conflict
            The administrator does not let owners do so.
        InvalidRequest
        """
        if rule is not None and (mistakes := check_patterns(rule.keep, "#/keep/")):
            raise InvalidRequest(mistakes)

        def write(connection: Connection) -> JobRetention:
            row = owned(connection, job_id, owner)
            if rule is not None and not self.settings.owners:
                raise Conflict("rules for single jobs are not allowed here", hint="retention.owners = true allows it")
            table.set_own_rule(connection, job_id, rule.model_dump(mode="json") if rule else None)
            _tell(connection, row, "retention_changed", by)
            return self._shown(connection, row)

        return await self.database.write(write)

    async def clean(self, job_id: str, owner: str, *, by: str) -> JobRetention:
        """Give up what is in the job's folder on its target only: the folder is removed.

        Raises
        ------
        Conflict
            The job has not ended, or has no folder.
        """

        def write(connection: Connection) -> JobRetention:
            row = owned(connection, job_id, owner)
            if State(row["state"]) not in ENDED:
                raise Conflict(
                    f"only the folder of a job that has ended can be removed, and this one is {row['state']}"
                )
            if not cleanings.ask(connection, job_id, row["lane"], job_table.now()):
                raise Conflict("the job has no folder on its target")
            _tell(connection, row, "folder_given_up", by)
            return self._shown(connection, row)

        return await self.database.write(write)

    def _shown(self, connection: Connection, row: Row) -> JobRetention:
        job_id = row["id"]
        own = table.own_rules(connection, [job_id]).get(job_id)
        going, tiers = table.count_on_their_way(connection, job_id), table.count_in_tiers(connection, job_id)
        restoring = going.pop(RESTORE, 0)
        return JobRetention(
            holds=[Hold.model_validate(dict(hold)) for hold in table.holds(connection, [job_id]).get(job_id, [])],
            own=OwnRule.model_validate(own) if own is not None else None,
            works=[RetentionWork.model_validate(dict(w)) for w in table.works_of(connection, [job_id]).get(job_id, [])],
            coming=sorted(self._coming(connection, row), key=lambda item: item.at),
            automatic=self.settings.automatic,
            owners=self.settings.owners,
            going=sum(going.values()),
            archived=sum(count for tier, count in tiers.items() if is_closed(tier)),
            restoring=restoring,
            folder=cleanings.word(connection, job_id),
        )

    def _coming(self, connection: Connection, row: Row) -> Iterator[Coming]:
        """Yield what the rules will do with the outputs of an ended job, due or not."""
        if row["ended_at"] is None or State(row["state"]) not in ENDED:
            return
        for found in self._candidates(connection, [row], RunRequest(), None):
            yield Coming(
                store=found.store,
                rule=found.name,
                action=found.rule.action,
                tier=found.tier,
                keep=list(found.rule.keep),
                at=due_at(row["state"], row["ended_at"], found.rule),
                blocked=found.blocked,
            )


async def measure(database: Database, candidate: Candidate) -> tuple[int, int]:
    """Return how many outputs, with how many bytes, a rule is about."""
    count = size = 0
    after: str | None = ""
    patterns, job_id = candidate.patterns, candidate.job["id"]

    def read(connection: Connection) -> tuple[int, int, str | None]:
        rows = catalogue.files(connection, job_id, candidate.store, after=after or "", limit=ROWS)
        mine = [row for row in rows if wanted(row, patterns, candidate.rule.action, candidate.tier)]
        last = rows[-1]["path"] if len(rows) == ROWS else None
        return len(mine), sum(row["size"] for row in mine), last

    while after is not None:
        some, more, after = await database.read(read)
        count, size = count + some, size + more
    return count, size


def removals(connection: Connection, job_id: str, store: str) -> Removals:
    """Return what retention removed of a job's outputs in a store."""
    works = [(work, [parse_pattern(p) for p in work["keep"]]) for work in table.taken_away(connection, job_id, store)]
    return Removals(tuple((work, tuple(keep)) for work, keep in works))


def removed_by(connection: Connection, job_id: str, store: str, path: str) -> str | None:
    """Say when, and by which rule, retention removed an output; None: it did not."""
    return removals(connection, job_id, store).of(path)


def _begin(connection: Connection, page: Sequence[Candidate], by: str) -> int:
    """Write down what nothing keeps back; one work at a time for a job's outputs in a store."""
    free = [candidate for candidate in page if candidate.blocked is None]
    works = table.works_of(connection, {candidate.job["id"] for candidate in free})
    busy = {(w["job_id"], w["store"]) for rows in works.values() for w in rows if w["done_at"] is None}
    begun = 0
    for candidate in free:
        place = (candidate.job["id"], candidate.store)
        if place in busy or job_table.state_of(connection, place[0]) is None:
            continue
        busy.add(place)
        begun += 1
        values = {"job_id": place[0], "store": place[1], "rule": candidate.name, "basis": candidate.basis}
        values |= {"action": candidate.rule.action, "tier": candidate.tier, "keep": list(candidate.rule.keep)}
        table.begin(connection, {**values, "by": by, "created_at": job_table.now()})
    return begun


def _among(names: Sequence[str], name: str | None) -> bool:
    return not names or name in names


def _named(request: RunRequest, name: str) -> bool:
    return _among(request.rules, name)


def _kind(row: Row, by: str) -> str:
    return "owner" if by == row["owner"] else "admin"


def _tell(connection: Connection, row: Row, kind: str, by: str) -> None:
    job_table.set_columns(connection, row["id"])
    events.append(connection, row["id"], row["owner"], kind, {"by": by}, at=job_table.now())


def _read_cursor(cursor: str | None) -> table.Past | None:
    if cursor is None:
        return None
    ended, job_id = cursors.decode(cursor, "retention", int, str)
    return table.Past(cursors.decode_moment(ended), str(job_id))
