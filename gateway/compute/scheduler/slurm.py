"""Slurm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from gateway.compute.scheduler import settings as common
from gateway.compute.scheduler.base import Command, QueryAnswer, Scheduler, SchedulerFacts, Submission
from gateway.compute.scheduler.queue_commands import Each, TryOut, array_indices, dependency
from gateway.compute.scheduler.settings import BatchSettings
from gateway.compute.scheduler.slurm_commands import Cancel, Detect, Find, Query
from gateway.compute.scheduler.submission import Submit
from gateway.errors import FieldError, InvalidRequest
from gateway.model.base import text_problem
from gateway.model.specification import OptionName, Resources

_OWN = frozenset(
    {
        "array",
        "chdir",
        "clusters",
        "cpus-per-task",
        "error",
        "gres",
        "hold",
        "job-name",
        "mem",
        "no-requeue",
        "nodes",
        "ntasks",
        "ntasks-per-node",
        "open-mode",
        "output",
        "parsable",
        "requeue",
        "time",
        "wrap",
    }
)
_MIB = 1024 * 1024


def _options(names: tuple[str, ...]) -> tuple[str, ...]:
    if own := sorted(set(names) & _OWN):
        raise ValueError(f"{', '.join(own)}: set by the gateway, cannot be set by users")
    return names


class SlurmSettings(BatchSettings):
    """A target's ``[scheduler]`` with ``kind = "slurm"``. Slurm's own ``KillWait`` is 30 s by default."""

    kill_delay: int = Field(default=30, ge=2, le=3600)
    options: Annotated[tuple[OptionName, ...], AfterValidator(_options)] = ()


class Slurm(Scheduler):
    """Slurm; see `Scheduler`.

    Parameters
    ----------
    settings
        The target's scheduler section.
    """

    kind: ClassVar[str] = "slurm"
    has_queue: ClassVar[bool] = True
    Settings: ClassVar[type[SlurmSettings]] = SlurmSettings

    def __init__(self, settings: SlurmSettings) -> None:
        self.settings = settings

    def detect(self) -> Command[SchedulerFacts]:
        """See `Scheduler`."""
        return Detect()

    def check(self, resources: Resources) -> None:
        """Check what can be checked without knowing the version; raises `InvalidRequest`."""
        common.check_words(resources, self.settings)
        if resources.cpus % resources.tasks_per_node:
            raise common.refuse("tasks_per_node", "must divide cpus: Slurm gives every task the same processors")

    def directives(self, submission: Submission, facts: SchedulerFacts) -> list[str]:
        """See `Scheduler`."""
        resources = submission.resources
        self.check(resources)
        lines = [
            f"--nodes={resources.nodes}",
            f"--ntasks-per-node={resources.tasks_per_node}",
            f"--cpus-per-task={resources.cpus // resources.tasks_per_node}",
            f"--time={self.walltime(resources.walltime)}",
            "--no-requeue",
            "--open-mode=append",
        ]
        if resources.memory is not None:
            lines.append(f"--mem={-(-resources.memory // _MIB)}M")
        if resources.gpus:
            lines.append(f"--gres=gpu:{resources.gpus}")
        if queue := resources.queue or self.settings.queue:
            lines.append(f"--partition={queue}")
        if account := resources.account or self.settings.account:
            lines.append(f"--account={account}")
        lines += [f"--{name}={value}" for name, value in resources.options.items()]
        lines += self.settings.directives
        return [f"#SBATCH {line}" for line in lines]

    def submit(self, submission: Submission, facts: SchedulerFacts) -> Command[str]:
        """See `Scheduler`. In the paths of the output a per cent sign begins a pattern."""
        control = submission.control_folder
        if not control.startswith("/") or text_problem(control) or "\\" in control:
            raise InvalidRequest([FieldError("#/target", "its workdir has characters that sbatch does not take")])
        output = control.replace("%", "%%")
        words = ["sbatch", "--parsable", f"--job-name={common.check_name(submission.name)}"]
        words += [f"--output={output}/scheduler.out", f"--error={output}/scheduler.err"]
        if submission.tasks:
            words.append(f"--array={array_indices(submission)}")
        if (others := dependency(submission)) is not None:
            words.append(f"--dependency={others}")
        words.append(f"{control}/job.sh")
        return Submit(tuple(words), control, r"([0-9]+)(;[A-Za-z0-9_.-]+)?")

    def query(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[QueryAnswer]:
        """See `Scheduler`."""
        return Query(tuple(ids), facts.notes.get("sacct") == "yes")

    def find(self, names: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, tuple[str, ...]]]:
        """See `Scheduler`."""
        return Find(tuple(common.check_name(name) for name in names), facts.notes.get("sacct") == "yes")

    def cancel(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """See `Scheduler`."""
        return Cancel(tuple(ids))

    def hold(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """See `Scheduler`. ``uhold``: its owner may release it."""
        return Each(("scontrol", "uhold"), tuple(ids))

    def release(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """See `Scheduler`."""
        return Each(("scontrol", "release"), tuple(ids))

    def estimate(self, submission: Submission) -> Command[datetime | None] | None:
        """See `Scheduler`."""
        return TryOut(tuple(self.directives(submission, SchedulerFacts("slurm"))))

    def array_limit(self, facts: SchedulerFacts) -> int:
        """See `Scheduler`. Indices are below ``MaxArraySize``."""
        site = facts.notes.get("max_array", "")
        return min(self.settings.array_limit, int(site) - 1) if site.isdigit() else self.settings.array_limit

    def array_throttle(self) -> int | None:
        """See `Scheduler`."""
        return self.settings.array_throttle

    def task_id(self, array_id: str, index: int) -> str:
        """See `Scheduler`."""
        return f"{array_id}_{index}"

    def array_of(self, scheduler_id: str) -> str | None:
        """See `Scheduler`."""
        array, mark, _ = scheduler_id.partition("_")
        return array if mark else None

    def option_problem(self, option: str) -> str | None:
        """See `Scheduler`."""
        return common.option_problem(option, self.settings.options)
