"""What a scheduler is. Each of its commands is a command line and a pure parser of what came back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from gateway.model.specification import Resources
from gateway.settings import PluginSettings

T = TypeVar("T")


class Command(ABC, Generic[T]):
    """A scheduler command: bash text to run, and the meaning of its answer.

    Attributes
    ----------
    functions
        Bash functions that `call` needs. Where many commands are sent together, they go once.
    """

    functions: str = ""

    def call(self) -> str:
        """Return bash text that does the same as `line`, after `functions`, in a subshell of its own."""
        return self.line()

    @abstractmethod
    def line(self) -> str:
        """Return bash text; every value in it is quoted."""

    @abstractmethod
    def parse(self, stdout: str, stderr: str, exit_status: int) -> T:
        """Return the meaning of the answer. Pure.

        Raises
        ------
        SchedulerError
            The answer means nothing, so nothing is known (never: "the job has ended").
        """


class Phase(StrEnum):
    """Where the scheduler says a job is."""

    QUEUED = "queued"
    HELD = "held"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True)
class SchedulerJob:
    """One job as the scheduler shows it.

    Attributes
    ----------
    exit_status
        As the scheduler reports it, None where it does not say (which proves nothing).
    reason
        A word of `gateway.model.states.Reason` where the scheduler says why it ended, else None.
    comment
        The scheduler's own words.
    """

    scheduler_id: str
    phase: Phase
    name: str | None = None
    exit_status: int | None = None
    reason: str | None = None
    comment: str | None = None


@dataclass(frozen=True)
class QueryAnswer:
    """The jobs that the scheduler knows among those asked for, and what could not be read.

    `jobs` lacks the ids that the scheduler does not know: that is *nothing*, not an end.
    """

    jobs: Mapping[str, SchedulerJob]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """What is handed to the scheduler.

    Attributes
    ----------
    name
        ``gw-`` and 12 hex digits: unique, stored before it is sent.
    control_folder
        Absolute; holds ``job.sh``, and gets ``scheduler.out`` and ``scheduler.err``.
    after_success, after_end
        Ids of jobs of the same scheduler that must have succeeded, or ended, before this one may start. Only where
        the scheduler `has_queue`.
    """

    name: str
    control_folder: str
    resources: Resources
    after_success: tuple[str, ...] = ()
    after_end: tuple[str, ...] = ()
    tasks: int = 0
    """Of an array: its tasks have the indices 1 to this number. 0: it is an ordinary job."""
    throttle: int | None = None
    """Of an array: so many of its tasks at most run at the same time, where the scheduler can see to it."""


@dataclass(frozen=True)
class Slots:
    """What a machine without a scheduler gives jobs at the same time; None where that is not known."""

    cpus: int | None = None
    memory: int | None = None
    gpus: int | None = None


@dataclass(frozen=True)
class SchedulerFacts:
    """What was found out once about a scheduler on its target: its dialect and version."""

    dialect: str
    version: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


class Scheduler(ABC):
    """A batch scheduler's commands for one target. Holds settings, no connection."""

    kind: ClassVar[str]
    Settings: ClassVar[type[PluginSettings]]
    has_queue: ClassVar[bool] = False
    """Whether jobs can be held in its queue, and wait there for others (`hold`, `release`, `Submission.after_end`)."""

    @abstractmethod
    def check(self, resources: Resources) -> None:
        """Refuse resources that can never become directives, before the dialect is known.

        Raises
        ------
        InvalidRequest
        """

    @abstractmethod
    def detect(self) -> Command[SchedulerFacts]:
        """Find out the dialect. Run once a connection; its answer is given to the other commands."""

    @abstractmethod
    def directives(self, submission: Submission, facts: SchedulerFacts) -> list[str]:
        """Return the script's directive lines (``#PBS …``), in a closed alphabet; [] where there are none.

        Raises
        ------
        InvalidRequest
            A resource or option that this scheduler (or the admin) does not allow.
        """

    @abstractmethod
    def submit(self, submission: Submission, facts: SchedulerFacts) -> Command[str]:
        """Submit ``<control_folder>/job.sh``; the answer is the scheduler's id.

        The parser raises `SubmissionRejected` where the scheduler said no, and `SchedulerError` where nobody knows.
        """

    @abstractmethod
    def query(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[QueryAnswer]:
        """Ask about all of `ids` at once."""

    @abstractmethod
    def find(self, names: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, tuple[str, ...]]]:
        """Find own jobs by submission name, history included: name -> ids, oldest first."""

    @abstractmethod
    def cancel(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """Cancel jobs: id -> None where taken (or already over), else the scheduler's words."""

    @abstractmethod
    def option_problem(self, option: str) -> str | None:
        """Say why a user may not set the directive option `option`, or None."""

    def hold(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """Keep queued jobs from starting: id -> None where done, else the scheduler's words."""
        raise NotImplementedError(f"{self.kind} has no queue")

    def release(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """Undo `hold`; the answer is like that one's."""
        raise NotImplementedError(f"{self.kind} has no queue")

    def estimate(self, submission: Submission) -> Command[datetime | None] | None:
        """Ask when a job would start, without submitting it; None where the scheduler cannot be asked.

        The parser raises `SubmissionRejected` where the scheduler would not take the job.
        """
        return None

    def slots(self, facts: SchedulerFacts) -> Slots | None:
        """Say what jobs share, where the gateway itself has to let them wait; None where the scheduler does."""
        return None

    def kill(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]] | None:
        """End by force everything that jobs started, also what outlived them; the answer is that of `cancel`.

        None where the scheduler sees to that itself.
        """
        return None

    def array_limit(self, facts: SchedulerFacts) -> int:
        """Return how many tasks one array may have; less than 2 where there are no arrays."""
        return 0

    def array_throttle(self) -> int | None:
        """Return how many tasks of one array may run at the same time; None: as many as the scheduler lets."""
        return None

    def task_id(self, array_id: str, index: int) -> str:
        """Return the id of a task of an array, by the id that the array's submission gave."""
        raise NotImplementedError(f"{self.kind} has no arrays")

    def array_of(self, scheduler_id: str) -> str | None:
        """Return the id of the array that a task belongs to; None for every other id."""
        return None

    def can_wait_for(self, scheduler_id: str) -> bool:
        """Say whether a submission may name this job among those that it waits for."""
        return self.has_queue

    def walltime(self, seconds: int) -> str:
        """Return `HH:MM:SS`."""
        return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
