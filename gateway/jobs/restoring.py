"""Bringing archived outputs back: what people ask for. The engine carries it out (`gateway.engine.restoring`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from gateway.db import events
from gateway.db import jobs as job_table
from gateway.db import outputs as catalogue
from gateway.db import retention as table
from gateway.db.database import Database
from gateway.errors import Conflict, InvalidRequest, NotFound, StoreError
from gateway.jobs.outputs import chosen_store, stores_of_job
from gateway.jobs.retention_rules import check_patterns, wanted
from gateway.jobs.rows import owned
from gateway.jobs.views import Row
from gateway.model.retention import RESTORE, RestoreRequest
from gateway.model.states import ENDED, State
from gateway.storage.patterns import Pattern, parse_pattern
from gateway.storage.stores.base import Place, Store

ROWS = 5000
"""Outputs that are looked at together."""


class RestoreService:
    """Begins to bring archived outputs back."""

    def __init__(self, database: Database, stores: Mapping[str, Store]) -> None:
        self.database = database
        self.stores = stores

    async def begin(self, job_id: str, owner: str, request: RestoreRequest, *, by: str) -> None:
        """Write down that archived outputs are to be brought back.

        Raises
        ------
        Conflict
            The store has no archive, the job has not ended, or nothing of what is asked for is archived.
        NotFound, InvalidRequest, StoreError
        """
        if mistakes := check_patterns(request.patterns, "#/patterns/"):
            raise InvalidRequest(mistakes)
        row, chosen = await self.database.read(lambda c: self._look(c, job_id, owner, request.store))
        name = chosen["store"]
        if name not in self.stores:
            raise StoreError(f"store {name} is not configured any more")
        if self.stores[name].archive_tier is None:
            raise Conflict(f"store {name} has no archive: nothing of it needs to be brought back")
        await self._learn(row, chosen, request.patterns)
        patterns = [parse_pattern(pattern) for pattern in request.patterns]
        if not await self._any(job_id, name, patterns):
            raise Conflict(f"nothing of that is archived in store {name}", hint="`gateway outputs ls` shows what is")
        await self.database.write(lambda c: _begin(c, row, name, request, by))

    def _look(self, connection: Connection, job_id: str, owner: str, store: str | None) -> tuple[Row, Row]:
        row = owned(connection, job_id, owner)
        if State(row["state"]) not in ENDED:
            raise Conflict(f"outputs are archived only of jobs that have ended, and this one is {row['state']}")
        return row, chosen_store(stores_of_job(connection, job_id), store)

    async def _learn(self, row: Row, chosen: Row, patterns: Sequence[str]) -> None:
        """Note that outputs which are named as they are were archived by somebody else than the gateway."""
        name = chosen["store"]
        store, place = self.stores[name], Place(row["id"], row["owner"], row["case"], chosen["path"])
        named = await self.database.read(lambda c: table.outputs_named(c, row["id"], name, patterns))
        unknown = [item["path"] for item in named if item["tier"] is None and item["going"] is None]
        if not unknown:
            return
        try:
            away = sorted(set(unknown) - await store.restored(place, unknown))
        except NotFound:
            return
        if away:
            tier = store.archive_tier or ""
            await self.database.write(lambda c: table.set_archived(c, row["id"], name, away, tier))

    async def _any(self, job_id: str, store: str, patterns: Sequence[Pattern]) -> bool:
        after: str | None = ""
        while after is not None:
            rows = await self.database.read(
                lambda c, after=after: catalogue.files(c, job_id, store, after=after, limit=ROWS)  # type: ignore[misc]
            )
            if any(wanted(row, patterns, RESTORE, None) for row in rows):
                return True
            after = rows[-1]["path"] if len(rows) == ROWS else None
        return False


def _begin(connection: Connection, row: Row, store: str, request: RestoreRequest, by: str) -> None:
    job_table.state_of(connection, row["id"])
    urgency, keep = "high" if request.urgent else "standard", list(request.patterns)
    open_works = [work for work in table.works_of(connection, [row["id"]]).get(row["id"], []) if not work["done_at"]]
    if any((w["store"], w["action"], w["keep"], w["tier"]) == (store, RESTORE, keep, urgency) for w in open_works):
        return  # asked for twice
    at = job_table.now()
    basis = hashlib.sha256(json.dumps([RESTORE, keep, at.isoformat()]).encode()).hexdigest()
    values = {"job_id": row["id"], "store": store, "rule": RESTORE, "basis": basis, "action": RESTORE}
    table.begin(connection, {**values, "tier": urgency, "keep": keep, "by": by, "created_at": at})
    job_table.set_columns(connection, row["id"])
    events.append(connection, row["id"], row["owner"], "restore_asked", {"by": by, "store": store}, at=at)
