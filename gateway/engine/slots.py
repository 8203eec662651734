"""The queue of a target that has none: jobs wait in the gateway until the machine has a slot for them.

Oldest first, and nobody overtakes: a job that needs much is not starved by many that need little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping

from gateway.compute.scheduler.base import Slots
from gateway.db import jobs, slots
from gateway.model.specification import Resources
from gateway.model.states import Reason, State

MACHINE = ("cpus", "memory", "gpus")
_WORDS = {"cpus": "processors", "memory": "bytes of memory", "gpus": "GPUs"}
BEHIND = "waits until the jobs before it have a slot on this machine"


@dataclass(frozen=True)
class Admission:
    """What `admit` decided: who may start, who must wait and why, and who never can."""

    admitted: frozenset[str] = frozenset()
    waiting: dict[str, str] = field(default_factory=dict)
    impossible: dict[str, str] = field(default_factory=dict)


def needs(resources: Resources) -> dict[str, int]:
    """Return what a job takes of a machine. Pure."""
    return {"cpus": resources.cpus, "memory": resources.memory or 0, "gpus": resources.gpus}


def admit(there: Slots, taken: Iterable[Resources], waiting: Sequence[tuple[str, Resources]]) -> Admission:
    """Decide which of `waiting`, oldest first, may start beside those that run. Pure."""
    room = {name: getattr(there, name) for name in MACHINE if getattr(there, name) is not None}
    left = dict(room)
    for resources in taken:
        for name, amount in needs(resources).items():
            if name in left:
                left[name] -= amount
    admitted: set[str] = set()
    waits: dict[str, str] = {}
    impossible: dict[str, str] = {}
    for job_id, resources in waiting:
        wanted = {name: amount for name, amount in needs(resources).items() if name in room and amount}
        if waits:
            waits[job_id] = BEHIND
        elif lacking := [name for name, amount in wanted.items() if amount > room[name]]:
            name = lacking[0]
            impossible[job_id] = f"needs {wanted[name]} {_WORDS[name]}, and this machine gives jobs {room[name]}"
        elif lacking := [name for name, amount in wanted.items() if amount > left[name]]:
            name = lacking[0]
            free = max(left[name], 0)
            waits[job_id] = f"waits for a slot: needs {wanted[name]} {_WORDS[name]}, {free} of {room[name]} are free"
        else:
            admitted.add(job_id)
            for name, amount in wanted.items():
                left[name] -= amount
    return Admission(frozenset(admitted), waits, impossible)


def keep_back(connection: Connection, target: str, there: Slots, rows: Sequence[RowMapping]) -> set[str]:
    """Return the ids of those accepted jobs that have to wait for a slot; those that never get one fail.

    Parameters
    ----------
    target
        The target's name: people's own accounts on one machine share its slots.
    rows
        Accepted jobs that would be launched now, oldest first.
    """
    decided = _decide(connection, target, there, rows, begun=True)
    for row in rows:
        if (text := decided.waiting.get(row["id"], row["message"])) != row["message"]:
            jobs.explain(connection, row["id"], State.ACCEPTED, text)
    for job_id, text in decided.impossible.items():
        if jobs.state_of(connection, job_id) is State.ACCEPTED:
            reason = str(Reason.SCHEDULER_REJECTED)
            jobs.change_state(connection, job_id, State.FAILED, reason=reason, message=text)
    return set(decided.waiting) | set(decided.impossible)


def may_start(connection: Connection, target: str, there: Slots, rows: Sequence[RowMapping]) -> set[str]:
    """Return the ids of those staged jobs that have a slot now.

    Most had one already when they were begun. One that is tried again, or was held meanwhile, may have to wait.
    """
    decided = _decide(connection, target, there, rows, begun=False)
    for job_id, text in decided.waiting.items():
        jobs.explain(connection, job_id, State.STAGING, text)
    return set(decided.admitted) | set(decided.impossible)


def _decide(connection: Connection, target: str, there: Slots, rows: Sequence[RowMapping], *, begun: bool) -> Admission:
    own = {row["id"] for row in rows}
    taken = [
        Resources.model_validate(found)
        for job_id, found in slots.taken(connection, target, begun=begun).items()
        if job_id not in own
    ]
    # No more can fit than there are processors: the others' specifications need not be read.
    near = [row["id"] for row in rows[: (there.cpus or len(rows)) + 1]]
    wanted = slots.wanted(connection, near)
    waiting = [(job_id, Resources.model_validate(wanted[job_id])) for job_id in near if job_id in wanted]
    decided = admit(there, taken, waiting)
    waits = dict(decided.waiting)
    waits.update({row["id"]: BEHIND for row in rows[len(near) :]})
    return Admission(decided.admitted, waits, decided.impossible)
