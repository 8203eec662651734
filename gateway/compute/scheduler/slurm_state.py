"""What Slurm's states say about a job, in ``squeue`` and ``sacct``. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.compute.scheduler.answers import Unreadable
from gateway.compute.scheduler.base import Phase, SchedulerJob
from gateway.model.states import Reason

_PHASES = {
    "PENDING": Phase.QUEUED,
    "REQUEUED": Phase.QUEUED,
    "REQUEUE_FED": Phase.QUEUED,
    "REQUEUE_HOLD": Phase.HELD,
    "RESV_DEL_HOLD": Phase.HELD,
    "SPECIAL_EXIT": Phase.HELD,
    "CONFIGURING": Phase.QUEUED,
    "POWER_UP_NODE": Phase.QUEUED,
    "RUNNING": Phase.RUNNING,
    "RESIZING": Phase.RUNNING,
    "SIGNALING": Phase.RUNNING,
    "STOPPED": Phase.RUNNING,
    "SUSPENDED": Phase.RUNNING,
    "COMPLETING": Phase.ENDING,
    "STAGE_OUT": Phase.ENDING,
    "COMPLETED": Phase.ENDED,
    "FAILED": Phase.ENDED,
    "CANCELLED": Phase.ENDED,
    "TIMEOUT": Phase.ENDED,
    "OUT_OF_MEMORY": Phase.ENDED,
    "NODE_FAIL": Phase.ENDED,
    "BOOT_FAIL": Phase.ENDED,
    "LAUNCH_FAILED": Phase.ENDED,
    "RECONFIG_FAIL": Phase.ENDED,
    "DEADLINE": Phase.ENDED,
    "PREEMPTED": Phase.ENDED,
    "REVOKED": Phase.ENDED,
}
_HELD = ("JobHeld", "Dependency", "job requeued in held state")
_REASONS = {
    "TIMEOUT": Reason.WALLTIME,
    "OUT_OF_MEMORY": Reason.OUT_OF_MEMORY,
    "NODE_FAIL": Reason.NODE_FAILED,
    "BOOT_FAIL": Reason.NODE_FAILED,
    "LAUNCH_FAILED": Reason.NODE_FAILED,
    "RECONFIG_FAIL": Reason.NODE_FAILED,
    "CANCELLED": Reason.TERMINATED,
    "DEADLINE": Reason.TERMINATED,
    "PREEMPTED": Reason.TERMINATED,
    "REVOKED": Reason.TERMINATED,
}


@lru_cache(20_000)  # in tick after tick most lines are the same
def read_job(scheduler_id: str, state: str, exit_code: str, why: str = "", name: str | None = None) -> SchedulerJob:
    """Turn the fields of one line into what the gateway wants to know.

    Parameters
    ----------
    exit_code
        ``3:0`` (code and signal), or the number that ``wait`` gives, which older versions of ``squeue`` show.
    why
        Slurm's *Reason*.

    Raises
    ------
    Unreadable
        The state is not one of Slurm's, or the exit code is none.
    """
    word = state.partition(" ")[0].rstrip("+")  # "CANCELLED by 1000"
    phase = _PHASES.get(word)
    if phase is None:
        raise Unreadable(f"state is {state[:60]!r}")
    if phase is Phase.QUEUED and why.startswith(_HELD):
        phase = Phase.HELD
    comment = None if why in ("", "None", "(null)") else why
    if phase is not Phase.ENDED:
        return SchedulerJob(scheduler_id, phase, name, comment=comment)
    code, signal = _exit(exit_code)
    if word == "COMPLETED":
        return SchedulerJob(scheduler_id, phase, name, 0 if (code, signal) == (0, 0) else None, None, comment)
    status = 128 + signal if signal else code or None
    return SchedulerJob(scheduler_id, phase, name, status, _reason(word, signal, why), comment)


def _reason(word: str, signal: int, why: str) -> str:
    if word == "CANCELLED" and why.startswith("Dependency"):
        return Reason.DEPENDENCY_FAILED
    if word in _REASONS:
        return _REASONS[word]
    if signal:
        return Reason.SIGNALLED
    if why == "BadConstraints":
        return Reason.SCHEDULER_REJECTED
    return Reason.NODE_FAILED if why == "JobLaunchFailure" else Reason.EXIT_CODE


def _exit(text: str) -> tuple[int, int]:
    if match := re.fullmatch(r"(\d{1,5}):(\d{1,3})", text, re.ASCII):
        return int(match[1]), int(match[2])
    if re.fullmatch(r"\d{1,6}", text, re.ASCII):
        return int(text) >> 8, int(text) & 0x7F
    raise Unreadable(f"exit code is {text[:60]!r}")
