"""PBS: OpenPBS and PBS Pro, Torque, and Debian's Torque commands for Slurm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from gateway.compute.scheduler import settings as common
from gateway.compute.scheduler.base import Command, QueryAnswer, Scheduler, SchedulerFacts, Submission
from gateway.compute.scheduler.pbs_commands import (
    OPENPBS,
    SLURM_TORQUE,
    TORQUE,
    Cancel,
    Detect,
    FindByQselect,
    FindByQstat,
    Query,
)
from gateway.compute.scheduler.pbs_state import array_id
from gateway.compute.scheduler.queue_commands import Each, array_indices, dependency
from gateway.compute.scheduler.settings import BatchSettings
from gateway.compute.scheduler.submission import Submit
from gateway.model.specification import Resources

_MIB = 1024 * 1024
# No connection; errors 15010 (system), 11 (internal), 31 (protocol), 33, 34 (no server), all modulo 256.
_NOBODY_KNOWS = frozenset({162, 163, 183, 185, 186, 255})
_ID_LINES = {
    OPENPBS: r"([0-9]+(\[\])?\.[A-Za-z0-9._-]+)",
    TORQUE: r"([0-9]+(\[\])?(\.[A-Za-z0-9._-]+)?)",
    SLURM_TORQUE: r"([0-9]+)",
}


class PbsSettings(BatchSettings):
    """A target's ``[scheduler]`` with ``kind = "pbs"``."""


class Pbs(Scheduler):
    """PBS in its dialects; see `Scheduler`.

    Parameters
    ----------
    settings
        The target's scheduler section.
    """

    kind: ClassVar[str] = "pbs"
    has_queue: ClassVar[bool] = True
    Settings: ClassVar[type[PbsSettings]] = PbsSettings

    def __init__(self, settings: PbsSettings) -> None:
        self.settings = settings

    def detect(self) -> Command[SchedulerFacts]:
        """See `Scheduler`."""
        return Detect()

    def check(self, resources: Resources) -> None:
        """Check what can be checked without knowing the dialect; raises `InvalidRequest`."""
        common.check_words(resources, self.settings)
        if resources.launcher == "srun":
            raise common.refuse("launcher", "must be mpirun or none: srun is Slurm's")
        for name, value in resources.options.items():
            if "," in value:  # it would begin another resource
                raise common.refuse(f"options/{name}", "must not have a comma")

    def directives(self, submission: Submission, facts: SchedulerFacts) -> list[str]:
        """See `Scheduler`."""
        resources = submission.resources
        self.check(resources)
        wanted = _select(resources, self.settings) if facts.dialect == OPENPBS else _nodes(resources, facts)
        # An array of OpenPBS can always be run again: the claim and its token tell the runs apart.
        again = "y" if submission.tasks and facts.dialect == OPENPBS else "n"
        lines = [f"-r {again}", *wanted, f"-l walltime={self.walltime(resources.walltime)}"]
        if queue := resources.queue or self.settings.queue:
            lines.append(f"-q {queue}")
        if account := resources.account or self.settings.account:
            lines.append(f"-A {account}")
        lines += [f"-l {name}={value}" for name, value in resources.options.items()]
        lines += self.settings.directives
        return [f"#PBS {line}" for line in lines]

    def submit(self, submission: Submission, facts: SchedulerFacts) -> Command[str]:
        """See `Scheduler`.

        Slurm reads the script's ``#PBS`` lines itself, but not ``-r``, and forgets that ``ppn`` is per node:
        both stand here too.
        """
        control = common.check_folder(submission.control_folder)
        words = ["qsub", "-N", common.check_name(submission.name)]
        if not submission.tasks:
            words += ["-r", "n"]
        elif facts.dialect == OPENPBS:
            words += ["-J", f"1-{submission.tasks}"]
        else:
            words += ["-t", array_indices(submission)]
        resources = submission.resources
        if facts.dialect == SLURM_TORQUE and resources.nodes > 1:
            words += ["-l", f"nodes={resources.nodes}:ppn={resources.cpus},mppnppn={resources.cpus}"]
        if (others := dependency(submission)) is not None:
            words += ["-W", f"depend={others}"]
        part = ".^array_index^" if submission.tasks and facts.dialect == OPENPBS else ""
        words += ["-o", f"{control}/scheduler.out{part}", "-e", f"{control}/scheduler.err{part}", f"{control}/job.sh"]
        silent = frozenset() if facts.dialect == SLURM_TORQUE else _NOBODY_KNOWS
        return Submit(tuple(words), control, _ID_LINES[facts.dialect], silent)

    def query(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[QueryAnswer]:
        """See `Scheduler`."""
        return Query(tuple(ids), facts)

    def find(self, names: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, tuple[str, ...]]]:
        """See `Scheduler`."""
        checked = tuple(common.check_name(name) for name in names)
        if facts.dialect == SLURM_TORQUE:
            return FindByQstat(checked)
        return FindByQselect(checked, history=facts.dialect == OPENPBS)

    def cancel(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """See `Scheduler`."""
        return Cancel(tuple(ids))

    def hold(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """See `Scheduler`."""
        return Each(("qhold", "-h", "u"), tuple(ids))

    def release(self, ids: Sequence[str], facts: SchedulerFacts) -> Command[Mapping[str, str | None]]:
        """See `Scheduler`."""
        return Each(("qrls", "-h", "u"), tuple(ids))

    def array_limit(self, facts: SchedulerFacts) -> int:
        """See `Scheduler`. The Torque commands of Slurm show no tasks, so nothing could be known of them."""
        return 0 if facts.dialect == SLURM_TORQUE else self.settings.array_limit

    def array_throttle(self) -> int | None:
        """See `Scheduler`."""
        return self.settings.array_throttle

    def task_id(self, array_id: str, index: int) -> str:
        """See `Scheduler`."""
        return array_id.replace("[]", f"[{index}]", 1)

    def array_of(self, scheduler_id: str) -> str | None:
        """See `Scheduler`."""
        array = array_id(scheduler_id)
        return None if array == scheduler_id else array

    def can_wait_for(self, scheduler_id: str) -> bool:
        """See `Scheduler`. PBS knows no dependency on a part of an array."""
        return self.array_of(scheduler_id) is None

    def option_problem(self, option: str) -> str | None:
        """See `Scheduler`."""
        return common.option_problem(option, self.settings.options)


def _select(resources: Resources, settings: PbsSettings) -> list[str]:
    """OpenPBS: a chunk is one node, so several chunks must not share one."""
    chunk = f"select={resources.nodes}:ncpus={resources.cpus}"
    if resources.memory is not None:
        chunk += f":mem={resources.memory}b"
    if resources.gpus:
        chunk += f":ngpus={resources.gpus}"
    if resources.tasks_per_node > 1:
        chunk += f":mpiprocs={resources.tasks_per_node}"
    lines = [f"-l {chunk}"]
    if resources.nodes > 1 and not any("place=" in line for line in settings.directives):
        lines.append("-l place=scatter")
    return lines


def _nodes(resources: Resources, facts: SchedulerFacts) -> list[str]:
    """Torque: processors are tasks. Memory is the job's in Torque, a node's (in whole MiB) in Slurm."""
    if resources.tasks_per_node not in (1, resources.cpus):
        raise common.refuse("tasks_per_node", "must be 1 or the same as cpus: Torque starts a task per processor")
    nodes = f"-l nodes={resources.nodes}:ppn={resources.cpus}"
    if resources.gpus:
        nodes += f":gpus={resources.gpus}"
    lines = [nodes]
    if resources.memory is not None and facts.dialect == SLURM_TORQUE:
        lines.append(f"-l mem={-(-resources.memory // _MIB)}mb")
    elif resources.memory is not None:
        lines.append(f"-l mem={resources.memory * resources.nodes}b")
    return lines
