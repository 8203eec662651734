"""Jobs of a sweep that are alike are submitted as one array of the scheduler; every other job goes alone."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping

from gateway.compute.arrays import array_folder
from gateway.compute.scheduler.base import Scheduler, SchedulerFacts, Submission
from gateway.db import arrays as table
from gateway.engine.submit import Unit
from gateway.engine.waiting import After
from gateway.model.specification import JobSpecification

Row = RowMapping


def submission_of(row: Row, after: After | None = None) -> Submission:
    """Return what is handed to the scheduler for an attempt that goes alone."""
    resources = JobSpecification.model_validate(row["spec"]).resources
    after = after or After()
    return Submission(row["a_submission"], row["a_control_folder"], resources, after.success, after.end)


def array_of(name: str, rows: Sequence[Row], throttle: int | None) -> Submission:
    """Return what is handed to the scheduler for an array of attempts that are alike."""
    first = submission_of(rows[0])
    folder = array_folder(first.control_folder, name)
    return Submission(name, folder, first.resources, tasks=len(rows), throttle=throttle)


def alike(row: Row) -> str | None:
    """Return what the attempts of one array have in common; None for one that goes alone. Pure.

    A retry goes alone, and what waits for other jobs: a task cannot.
    """
    spec = row["spec"]
    if row["sweep"] is None or row["attempt"] > 1 or spec.get("after_success") or spec.get("after_end"):
        return None
    same = [row["sweep"], spec.get("resources"), spec.get("image"), spec.get("stores"), list(row["stores"])]
    return json.dumps(same, sort_keys=True)


class Arrays:
    """Decides which attempts of one target are submitted together."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.alone: set[str] = set()
        """Jobs whose array was not taken, or not whole: each is submitted by itself."""

    def keep(self, job_ids: Collection[str]) -> None:
        """Forget what is known of all other jobs."""
        self.alone &= set(job_ids)

    # --- Before the submission

    def early(self, ready: Sequence[Row], staged: Collection[str], unstaged: Iterable[Row], limit: int) -> set[str]:
        """Return the ids of staged jobs that wait for others of their sweep, which are being staged now. Pure.

        Parameters
        ----------
        staged
            Jobs that were staged just now: nobody waits for a sweep that makes no progress.
        unstaged
            Jobs that can still be staged.
        """
        coming = {row["sweep"] for row in unstaged} & {row["sweep"] for row in ready if row["id"] in staged}
        coming.discard(None)
        found: set[str] = set()
        for sweep in coming if limit > 1 else ():
            mine = [row["id"] for row in ready if row["sweep"] == sweep]
            found |= set(mine[len(mine) - len(mine) % limit :])
        return found

    def batches(self, ready: Sequence[Row], size: int, limit: int) -> list[list[str]]:
        """Return the ids of `ready` in batches of at most `size`; the jobs of a sweep stay together. Pure."""
        sweeps: dict[str, list[str]] = {}
        others: list[str] = []
        for row in ready:
            of_array = limit > 1 and row["sweep"] is not None and row["id"] not in self.alone
            (sweeps.setdefault(row["sweep"], []) if of_array else others).append(row["id"])
        found = [others[start : start + size] for start in range(0, len(others), size)]
        for mine in sweeps.values():
            found += [mine[start : start + limit] for start in range(0, len(mine), limit)]
        return found

    def form(
        self, connection: Connection, rows: Sequence[Row], after: Mapping[str, After], limit: int, at: datetime
    ) -> list[Unit]:
        """Put attempts together, and write down how each is about to be sent.

        An array whose answer was lost is sent again as it was, with the same name, as long as all of it may be sent.
        """
        groups = self._groups(connection, rows, after, limit)
        units, places = [], list[table.Place]()
        for name, members in groups:
            if len(members) > 1:
                submissions = tuple(submission_of(row) for row in members)
                units.append(Unit(submissions, array_of(name, members, self.scheduler.array_throttle())))
                places += [(row["id"], row["attempt"], name, index) for index, row in enumerate(members, 1)]
            else:
                (row,) = members
                units.append(Unit((submission_of(row, after.get(row["id"])),)))
                places.append((row["id"], row["attempt"], None, None))
        table.mark_sent(connection, places, at)
        return units

    def _groups(
        self, connection: Connection, rows: Sequence[Row], after: Mapping[str, After], limit: int
    ) -> list[tuple[str, list[Row]]]:
        before: dict[str, list[Row]] = {}
        fresh: dict[str, list[Row]] = {}
        for row in rows:
            if row["a_array"] is not None and row["id"] not in self.alone:
                before.setdefault(row["a_array"], []).append(row)
        whole = {name for name, members in before.items() if _is_whole(connection, name, members)}
        for row in rows:
            if row["a_array"] not in whole:
                waits = after.get(row["id"], After()) != After()
                goes_alone = limit < 2 or waits or row["id"] in self.alone
                fresh.setdefault((None if goes_alone else alike(row)) or row["id"], []).append(row)
        found = [(name, sorted(before[name], key=lambda row: row["a_array_index"])) for name in sorted(whole)]
        for members in fresh.values():
            members.sort(key=lambda row: row["sweep_index"] or 0)
            for start in range(0, len(members), max(1, limit)):
                found.append((f"gw-{secrets.token_hex(6)}", members[start : start + max(1, limit)]))
        return found

    # --- After a lost answer

    def looked_for(self, rows: Iterable[Row]) -> dict[str, str]:
        """Return the names to look for, and the folder of each, where its id may have been published."""
        found = {}
        for row in rows:
            folder, name = row["a_control_folder"], row["a_array"]
            found[name or row["a_submission"]] = array_folder(folder, name) if name else folder
        return found

    def task_of(self, row: Row, scheduler_id: str) -> str:
        """Return an attempt's own id, by the one that its submission gave."""
        return self.scheduler.task_id(scheduler_id, row["a_array_index"]) if row["a_array"] else scheduler_id

    def submission_for(self, row: Row) -> Submission:
        """Return what an attempt was submitted with, as far as its answer depends on that."""
        if not row["a_array"]:
            return submission_of(row)
        return array_of(row["a_array"], [row, row], self.scheduler.array_throttle())


def _is_whole(connection: Connection, name: str, members: Sequence[Row]) -> bool:
    """Say whether all attempts of an array are there, so that its indices mean what they meant before."""
    indices = sorted(row["a_array_index"] for row in members)
    return indices == list(range(1, table.size(connection, name) + 1)) and len(indices) > 1


def limit_of(scheduler: Scheduler, facts: SchedulerFacts) -> int:
    """Return how many tasks one array may have; 1 where there are none."""
    return max(1, scheduler.array_limit(facts))


def cancel_ids(scheduler: Scheduler, chosen: Sequence[Row], live: Iterable[Row]) -> list[str]:
    """Return the ids to cancel for `chosen`: the array's own where all that is left of an array is cancelled. Pure."""
    wanted = {row["id"] for row in chosen}
    partly = {row["a_array"] for row in live if row["a_array"] and row["id"] not in wanted}
    found: dict[str, None] = {}
    for row in chosen:
        array = scheduler.array_of(row["a_scheduler_id"])
        by_array = array is not None and row["a_array"] is not None and row["a_array"] not in partly
        found[array if array is not None and by_array else row["a_scheduler_id"]] = None
    return list(found)
