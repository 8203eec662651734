"""Writing what a store has into the catalogue: in small steps, and nothing against what came meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection

from gateway.db import reconciling
from gateway.db.database import Database
from gateway.db.outputs import OutputRow
from gateway.jobs.views import Row
from gateway.model.states import OutputsState
from gateway.model.verification import Repair
from gateway.storage.content_types import guess
from gateway.storage.signed_claim import SignedClaim
from gateway.storage.spool import ADDITION, CHANGE, REMOVAL, Listed, Spool
from gateway.storage.stores.base import Store

T = TypeVar("T")

AT_ONCE = 1000
"""Rows that are written in one transaction: others who write do not wait long."""
SHOWN = 20
"""Paths that a line names."""
PROVED = (OutputsState.COMPLETE, OutputsState.RESCUED)


class Repairs:
    """Repairs of one store's catalogue.

    Parameters
    ----------
    began
        When the store's listing did: rows that are newer are right.
    """

    def __init__(self, database: Database, store: Store, spool: Spool, began: datetime, *, dry_run: bool) -> None:
        self.database = database
        self.store = store
        self.spool = spool
        self.began = began
        self.dry_run = dry_run

    async def carry_out(
        self,
        job: Row,
        folder: str,
        claim: SignedClaim | None,
        *,
        totals: bool,
        kind: str = "job",
        any_store: bool = False,
    ) -> Repair:
        """Repair what was found different in a job's folder, and tell it.

        Parameters
        ----------
        claim
            What was signed of this place, if it is that of the job, the attempt and (but with `any_store`) the store:
            what it names is final, everything else partial.
        totals
            Whether the folders' totals are wrong.
        """
        if claim is not None and (claim.job, claim.attempt) != (job["id"], job["attempt"]):
            claim = None
        if claim is not None and claim.store != self.store.name and not any_store:
            claim = None
        counts = {word: self.spool.count(folder, word) for word in (ADDITION, REMOVAL, CHANGE)}
        paths = [item.path for word in counts for item in islice(self.spool.differences(folder, word), SHOWN)][:SHOWN]
        line = Repair(
            kind="adopted" if kind == "adopted" else "job",
            store=self.store.name,
            job_id=job["id"],
            folder=folder,
            added=counts[ADDITION],
            removed=counts[REMOVAL],
            changed=counts[CHANGE],
            totals=totals,
            paths=paths,
        )
        if self.dry_run:
            return line
        moved = 0
        for word, change in ((REMOVAL, self._forget), (ADDITION, self._write), (CHANGE, self._write)):
            for items in _batches(self.spool.differences(folder, word)):
                done = await self._guarded(job, lambda c, items=items, change=change: change(c, job, items, claim))  # type: ignore[misc]
                if done is None:
                    detail = "the job, or what is in the store, changed meanwhile: reconcile it again"
                    return line.model_copy(update={"kind": "skipped", "detail": detail})
                moved += done
        await self._guarded(job, lambda c: self._end(c, job, line, claim, folder))
        return line.model_copy(update={"done": True})

    async def _guarded(self, job: Row, work: Callable[[Connection], T]) -> T | None:
        """Do `work` in a transaction in which the job is as it was; None where it is not."""

        def write(connection: Connection) -> T | None:
            name = self.store.name
            if reconciling.may_repair(connection, job["id"], job["attempt"], name) is None:
                return None
            return work(connection)

        return await self.database.write(write)

    def _forget(self, connection: Connection, job: Row, items: list[Listed], _: SignedClaim | None) -> int:
        paths = [item.path for item in items]
        return reconciling.forget(connection, job["id"], self.store.name, paths, self.began)

    def _write(self, connection: Connection, job: Row, items: list[Listed], claim: SignedClaim | None) -> int:
        rows = [_row(item, job["attempt"], claim, self.began) for item in items]
        return reconciling.write(connection, job["id"], self.store.name, rows, self.began)

    def _end(self, connection: Connection, job: Row, line: Repair, claim: SignedClaim | None, folder: str) -> None:
        """Count anew where the totals were wrong, and say how complete the store is now."""
        name = self.store.name
        row = reconciling.may_repair(connection, job["id"], job["attempt"], name)
        assert row is not None
        if line.totals:
            reconciling.recount(connection, job["id"], name)
        told = {"added": line.added, "removed": line.removed, "changed": line.changed, "totals": line.totals}
        state, problem = None, None
        before = OutputsState(reconciling.state_of_store(connection, job["id"], name))
        if before in PROVED and (line.removed or line.changed):
            state = OutputsState.PARTIAL
            problem = (
                f"{line.removed} files have gone from the store and {line.changed} have another size than was proved"
            )
        elif before not in PROVED and claim is not None and self._whole(claim, folder):
            state = OutputsState(claim.state)
        reconciling.settle(connection, row, name, told, state=state, problem=problem)

    def _whole(self, claim: SignedClaim, folder: str) -> bool:
        """Say whether all that was signed as complete is listed, in its size."""
        if claim.state not in [str(state) for state in PROVED]:
            return False
        left = {path: file.size for path, file in claim.files.items()}
        for item in self.spool.objects(folder):
            if left.get(item.path) == item.size:
                del left[item.path]
        return not left


def _row(item: Listed, attempt: int, claim: SignedClaim | None, at: datetime) -> OutputRow:
    signed = claim.files.get(item.path) if claim is not None else None
    if signed is not None and signed.size == item.size and claim is not None and claim.state != OutputsState.PARTIAL:
        kind = signed.content_type or item.content_type or guess(item.path)
        return OutputRow(item.path, item.size, "final", attempt, item.modified_at, kind, signed.digest, at)
    kind = item.content_type or guess(item.path)
    return OutputRow(item.path, item.size, "partial", attempt, item.modified_at, kind, None, item.modified_at or at)


def _batches(items: Iterable[Listed]) -> Iterator[list[Listed]]:
    iterator = iter(items)
    while batch := list(islice(iterator, AT_ONCE)):
        yield batch
