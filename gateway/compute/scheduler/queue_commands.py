"""What people can want of jobs that wait in a queue: to be held, to wait for others, to know when they would start."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.compute.scheduler.answers import NO_ANSWER, short
from gateway.compute.scheduler.base import Command, Submission
from gateway.errors import SchedulerError, SubmissionRejected

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\[\]@-]{0,199}\Z")


def dependency(submission: Submission) -> str | None:
    """Return what a submission waits for as PBS and Slurm both write it (``afterok:1:2,afterany:3``), or None.

    Raises
    ------
    ValueError
        A programming error: an id is none that a scheduler gave.
    """
    parts = []
    for word, ids in (("afterok", submission.after_success), ("afterany", submission.after_end)):
        for scheduler_id in ids:
            if not _ID.match(scheduler_id):
                raise ValueError(f"{scheduler_id!r} is not the id of a job")
        if ids:
            parts.append(":".join((word, *ids)))
    return ",".join(parts) or None


def array_indices(submission: Submission) -> str:
    """Return the indices of an array as Slurm and Torque write them: ``1-400``, or ``1-400%10``."""
    return f"1-{submission.tasks}" + (f"%{submission.throttle}" if submission.throttle else "")


@dataclass(frozen=True)
class Each(Command[Mapping[str, str | None]]):
    """Run a command for each of many jobs; the answer is that of `Scheduler.hold`.

    Attributes
    ----------
    words
        The command; the id follows.
    """

    words: tuple[str, ...]
    ids: tuple[str, ...]

    def line(self) -> str:
        """See `Command`."""
        return (
            f"command -v {shlex.quote(self.words[0])} >/dev/null || exit 127\n"
            f"for gw_id in {shlex.join(self.ids)}; do\n"
            f'  gw_words=$({shlex.join(self.words)} "$gw_id" 2>&1 </dev/null)\n'
            "  printf '%s %d %s\\n' \"$gw_id\" $? \"${gw_words//$'\\n'/; }\"\n"
            "done\necho '@end'"
        )

    def parse(self, stdout: str, stderr: str, exit_status: int) -> Mapping[str, str | None]:
        """See `Command`."""
        program = self.words[0]
        if exit_status == 127:
            raise SchedulerError(f"the target has no {program}")
        lines = stdout.rstrip().split("\n")
        if exit_status != 0 or lines[-1] != "@end":
            raise SchedulerError(f"{program} failed: {short(stderr) or 'the answer is not whole'}")
        answers: dict[str, str | None] = dict.fromkeys(self.ids, "no answer")
        for line in lines[:-1]:
            asked, _, rest = line.partition(" ")
            status, _, said = rest.partition(" ")
            if asked in answers and status.isdigit():
                words = short(said) or f"{program} ended with status {status[:9]}"
                answers[asked] = None if status == "0" else words
        return answers


@dataclass(frozen=True)
class TryOut(Command[datetime | None]):
    """Ask Slurm when it would start a job, by ``sbatch --test-only``, which submits nothing."""

    directives: tuple[str, ...]

    def line(self) -> str:
        """See `Command`. The directives have a closed alphabet; times are told in UTC."""
        script = "\n".join(["#!/bin/bash", *self.directives, "exit 0", ""])
        return f"printf %s {shlex.quote(script)} | TZ=UTC0 sbatch --test-only --output=/dev/null"

    def parse(self, stdout: str, stderr: str, exit_status: int) -> datetime | None:
        """Return the start; None where Slurm does not tell one.

        Raises
        ------
        SubmissionRejected
            It would not take the job.
        """
        said = f"{stdout}\n{stderr}"
        if match := re.search(r"\bto start at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\b", said, re.ASCII):
            try:
                return datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
            except ValueError:
                return None
        if exit_status in (126, 127) or NO_ANSWER.search(said):
            raise SchedulerError(f"sbatch failed with status {exit_status}: {short(said)}")
        if exit_status != 0:
            words = said.replace("allocation failure:", "")
            raise SubmissionRejected(short(words) or f"sbatch ended with status {exit_status}")
        return None
