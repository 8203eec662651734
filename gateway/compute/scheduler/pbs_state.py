"""What a PBS server's attributes say about a job: OpenPBS, PBS Pro and Torque."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.compute.scheduler.answers import Unreadable
from gateway.compute.scheduler.base import Phase, SchedulerJob
from gateway.model.states import Reason

Attributes = Mapping[str, object]
"""A job's attributes by lower-case name."""

JOB_ID = r"\d{1,18}(?:\[\d{0,9}\])?(?:\.[A-Za-z0-9_.-]{1,255})?"

_PHASES = {
    "Q": Phase.QUEUED,
    "T": Phase.QUEUED,
    "W": Phase.QUEUED,
    "H": Phase.HELD,
    "R": Phase.RUNNING,
    "S": Phase.RUNNING,
    "U": Phase.RUNNING,
    "B": Phase.RUNNING,
    "E": Phase.ENDING,
    "F": Phase.ENDED,
    "C": Phase.ENDED,
    "X": Phase.ENDED,
}
_DELETED = 91
# The node's reasons to end a job that has run. OpenPBS and Torque number them differently.
_OPENPBS_KILLS = {
    -29: Reason.WALLTIME,
    -28: Reason.TERMINATED,
    -27: Reason.OUT_OF_MEMORY,
    -26: Reason.OUT_OF_MEMORY,
    -25: Reason.TERMINATED,
    -24: Reason.TERMINATED,
}
_TORQUE_KILLS = {-12: Reason.TERMINATED, -11: Reason.WALLTIME, -10: Reason.OUT_OF_MEMORY}


def job_number(scheduler_id: str) -> str:
    """Return the id without its server's name."""
    return scheduler_id.partition(".")[0]


def array_id(scheduler_id: str) -> str:
    """Return the id of the array that a task is of (``18[3].server``: ``18[].server``); every other id as it is."""
    return re.sub(r"\[\d+\]", "[]", scheduler_id, count=1, flags=re.ASCII)


def read_job(scheduler_id: str, attributes: Attributes, *, torque: bool = False) -> SchedulerJob:
    """Turn attributes into what the gateway wants to know.

    Raises
    ------
    Unreadable
        The state is missing or not one that says something.
    """
    state = attributes.get("job_state")
    phase = _PHASES.get(state) if isinstance(state, str) else None
    if phase is None:
        raise Unreadable(f"job_state is {_shown(state)}")
    status = None
    reason = None
    if phase in (Phase.ENDING, Phase.ENDED):
        status = _integer(attributes, "exit_status")
    if phase is Phase.ENDED:
        substate = _integer(attributes, "substate")
        status = _believable(scheduler_id, status, substate)
        reason = _reason(attributes, status, substate, torque=torque)
    return SchedulerJob(
        scheduler_id, phase, _text(attributes, "job_name"), status, reason, _text(attributes, "comment")
    )


def _believable(scheduler_id: str, status: int | None, substate: int | None) -> int | None:
    """Drop a zero that proves nothing: an array's own (a part may have failed), or a failed job's."""
    if status == 0 and ("[]" in scheduler_id or substate not in (None, 92)):
        return None
    return status


def _reason(attributes: Attributes, status: int | None, substate: int | None, *, torque: bool) -> str | None:
    if substate == _DELETED:
        return Reason.TERMINATED
    if status is None:
        failed_dependency = substate == 92 and attributes.get("depend") is not None
        return Reason.DEPENDENCY_FAILED if failed_dependency else None
    if status == 0:
        return None
    if status < 0:
        return (_TORQUE_KILLS if torque else _OPENPBS_KILLS).get(status, Reason.NODE_FAILED)
    if status >= 256:
        return Reason.TERMINATED
    return Reason.SIGNALLED if 128 < status <= 192 else Reason.EXIT_CODE


def _integer(attributes: Attributes, name: str) -> int | None:
    value = attributes.get(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31:
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,9}\s*", value, re.ASCII):
        return int(value)
    raise Unreadable(f"{name} is {_shown(value)}")


def _text(attributes: Attributes, name: str) -> str | None:
    value = attributes.get(name)
    if value is None or isinstance(value, dict | list):
        return None
    return str(value)[:1000]


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:60]
