"""One remote command that submits a batch of staged attempts, each at most once."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.compute.remote import RemoteScript
from gateway.compute.scheduler.base import Scheduler, SchedulerFacts, Submission
from gateway.compute.transport.base import CommandResult
from gateway.errors import SchedulerError, SubmissionRejected


@dataclass(frozen=True)
class Submitted:
    """What became of one submission: an id, a refusal, or neither (nobody knows).

    `gone`: its control folder is not there, so this time nothing was sent.
    """

    scheduler_id: str | None = None
    refused: str | None = None
    problem: str | None = None
    gone: bool = False


def _section(scheduler: Scheduler, submission: Submission, facts: SchedulerFacts) -> str:
    """Submit, unless a run has claimed the attempt or an id was published; the scheduler's line publishes it."""
    control = shlex.quote(submission.control_folder)
    return f"""cd {control} || exit 98
if [ -s claim ]; then sed -n 's/^scheduler_id=//p' claim; exit 97; fi
{scheduler.submit(submission, facts).line()}
"""


def batch_script(scheduler: Scheduler, facts: SchedulerFacts, submissions: Sequence[Submission]) -> RemoteScript:
    """Return the script: one section a submission, in their order, named by the submission."""
    script = RemoteScript()
    for submission in submissions:
        script.add(submission.name, _section(scheduler, submission, facts))
    return script


def read_answers(
    scheduler: Scheduler,
    facts: SchedulerFacts,
    submissions: Sequence[Submission],
    sections: Mapping[str, CommandResult],
) -> dict[str, Submitted]:
    """Return what became of each submission, by name."""
    answers = {}
    for submission in submissions:
        stdout, stderr, status = sections[submission.name].text()
        if status == 97:
            answers[submission.name] = Submitted(scheduler_id=stdout.strip() or None)
        elif status == 98:
            folder = posixpath.basename(submission.control_folder)
            answers[submission.name] = Submitted(problem=f"control folder {folder} is not there", gone=True)
        else:
            try:
                found = scheduler.submit(submission, facts).parse(stdout, stderr, status)
                answers[submission.name] = Submitted(scheduler_id=found)
            except SubmissionRejected as error:
                answers[submission.name] = Submitted(refused=error.message)
            except SchedulerError as error:
                answers[submission.name] = Submitted(problem=error.message)
    return answers
