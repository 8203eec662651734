"""A plain machine or cloud VM: jobs are processes, started when the gateway has a slot for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from gateway.compute.scheduler import settings as common
from gateway.compute.scheduler.base import Command, QueryAnswer, Scheduler, SchedulerFacts, Slots, Submission
from gateway.compute.scheduler.direct_commands import Cancel, Detect, Find, Query, Submit
from gateway.compute.scheduler.settings import SchedulerSettings
from gateway.errors import FieldError, InvalidRequest
from gateway.model.base import Memory
from gateway.model.specification import Resources


class DirectSettings(SchedulerSettings):
    """A target's ``[scheduler]`` with ``kind = "direct"``.

    Attributes
    ----------
    cpus, memory, gpus
        What jobs get at the same time, all together; None: all that the machine has.
    nice
        How much jobs give way to everything else on the machine.
    """

    cpus: int | None = Field(default=None, ge=1)
    memory: Memory | None = Field(default=None, ge=1024 * 1024)
    gpus: int | None = Field(default=None, ge=0)
    nice: int = Field(default=0, ge=0, le=19)


class Direct(Scheduler):
    """No scheduler at all; see `Scheduler`.

    An id is ``<pid>.<start time>.<8 hex digits of the boot id>``, so that a number that the machine gives
    to another process is not taken for the job. The script ends itself at its walltime.

    Parameters
    ----------
    settings
        The target's scheduler section.
    """

    kind: ClassVar[str] = "direct"
    Settings: ClassVar[type[DirectSettings]] = DirectSettings

    def __init__(self, settings: DirectSettings) -> None:
        self.settings = settings

    def detect(self) -> Command[SchedulerFacts]:
        """See `Scheduler`."""
        return Detect()

    def check(self, resources: Resources) -> None:
        """Refuse what a plain machine has not; raises `InvalidRequest`."""
        errors = []
        if resources.nodes != 1:
            errors.append(FieldError("#/resources/nodes", "must be 1: this target is a single machine"))
        if resources.launcher == "srun":
            errors.append(FieldError("#/resources/launcher", "must be mpirun or none: srun is Slurm's"))
        for field in ("queue", "account"):
            if getattr(resources, field) is not None:
                errors.append(FieldError(f"#/resources/{field}", "this target has no scheduler"))
        for field in ("cpus", "memory", "gpus"):
            there, wanted = getattr(self.settings, field), getattr(resources, field)
            if there is not None and wanted is not None and wanted > there:
                errors.append(FieldError(f"#/resources/{field}", f"must be at most {there}: that is all it has"))
        for name in resources.options:
            errors.append(FieldError(f"#/resources/options/{name}", self.option_problem(name)))
        if errors:
            raise InvalidRequest(errors)

    def directives(self, submission: Submission, facts: SchedulerFacts) -> list[str]:
        """See `Scheduler`."""
        self.check(submission.resources)
        return []

    def submit(self, submission: Submission, facts: SchedulerFacts) -> Command[str]:
        """See `Scheduler`."""
        return Submit(common.check_name(submission.name), submission.control_folder, self.settings.nice)

    def query(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[QueryAnswer]:
        """See `Scheduler`. Every id has an answer: what runs no more has ended."""
        return Query(tuple(ids))

    def find(self, names: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, tuple[str, ...]]]:
        """See `Scheduler`. Finds what still runs; ``scheduler_id`` is there from the start of every job."""
        return Find(tuple(common.check_name(name) for name in names))

    def cancel(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """See `Scheduler`. TERM only; `kill` is for what does not end by it."""
        return Cancel(tuple(ids))

    def kill(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """KILL everything that jobs started; the answer is that of `cancel`."""
        return Cancel(tuple(ids), kill=True)

    def slots(self, facts: SchedulerFacts) -> Slots | None:
        """See `Scheduler`."""
        return Slots(*(self._slot(name, facts) for name in ("cpus", "memory", "gpus")))

    def _slot(self, name: str, facts: SchedulerFacts) -> int | None:
        setting: int | None = getattr(self.settings, name)
        return int(facts.notes[name]) if setting is None and name in facts.notes else setting

    def option_problem(self, option: str) -> str:
        """See `Scheduler`."""
        return f"{option!r}: this target has no scheduler and no options"
