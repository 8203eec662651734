"""One remote command that submits a batch of staged attempts, each at most once."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.compute.arrays import CLAIMED, MISSING, NOT_MADE, array_script, make_section, read_look
from gateway.compute.remote import RemoteScript
from gateway.compute.scheduler.base import Scheduler, SchedulerFacts, Submission
from gateway.compute.transport.base import CommandResult
from gateway.errors import SchedulerError, SubmissionRejected


@dataclass(frozen=True)
class Submitted:
    """What became of one attempt: an id, a refusal, or neither (nobody knows).

    Attributes
    ----------
    gone
        Its control folder is not there, so this time nothing was sent.
    alone
        Nothing was sent, or the array was refused: the attempt goes on by itself.
    """

    scheduler_id: str | None = None
    refused: str | None = None
    problem: str | None = None
    gone: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Unit:
    """What one scheduler command submits: an attempt, or an array of several.

    Attributes
    ----------
    submissions
        Of the attempts, each with its own name and control folder; those of an array in the order of their indices.
    array
        The array's submission.
    """

    submissions: tuple[Submission, ...]
    array: Submission | None = None

    @property
    def name(self) -> str:
        """The name that the scheduler sees."""
        return (self.array or self.submissions[0]).name


_FUNCTIONS = f"""\
gw_unclaimed() {{
  cd "$1" || exit {MISSING}
  if [ -s claim ]; then sed -n 's/^scheduler_id=//p' claim; exit {CLAIMED}; fi
}}"""


def _section(scheduler: Scheduler, unit: Unit, facts: SchedulerFacts) -> tuple[str, str]:
    """Submit, unless a run has claimed the attempt or an id was published; the scheduler's line publishes it.

    Returns
    -------
    tuple
        Functions, and the section that calls them.
    """
    if unit.array is not None:
        array = unit.array
        script = array_script(scheduler.kind, array.control_folder, scheduler.directives(array, facts))
        tasks = [submission.control_folder for submission in unit.submissions]
        made = make_section(array.control_folder, script, tasks)
        return "", f"{made}\n{scheduler.submit(array, facts).line()}\n"
    (submission,) = unit.submissions
    command = scheduler.submit(submission, facts)
    functions = f"{_FUNCTIONS}\n{command.functions}".rstrip("\n")
    return functions, f"gw_unclaimed {shlex.quote(submission.control_folder)}\n{command.call()}\n"


def batch_script(scheduler: Scheduler, facts: SchedulerFacts, units: Sequence[Unit]) -> RemoteScript:
    """Return the script: one section a unit, in their order, each named as the scheduler sees it."""
    script = RemoteScript()
    functions: dict[str, None] = {}
    for unit in units:
        needed, section = _section(scheduler, unit, facts)
        functions[needed] = None
        script.add(unit.name, section)
    script.head = "\n".join(text for text in functions if text)
    return script


def read_answers(
    scheduler: Scheduler, facts: SchedulerFacts, units: Sequence[Unit], sections: Mapping[str, CommandResult]
) -> dict[str, Submitted]:
    """Return what became of each attempt, by its submission's name."""
    answers: dict[str, Submitted] = {}
    for unit in units:
        text = sections[unit.name].text()
        if unit.array is None:
            answers[unit.name] = _read_one(scheduler, facts, unit.submissions[0], text)
        else:
            answers |= _read_array(scheduler, facts, unit, unit.array, text)
    return answers


def _read_one(
    scheduler: Scheduler, facts: SchedulerFacts, submission: Submission, text: tuple[str, str, int]
) -> Submitted:
    stdout, stderr, status = text
    if status == CLAIMED:
        return Submitted(scheduler_id=stdout.strip() or None)
    if status == MISSING:
        folder = posixpath.basename(submission.control_folder)
        return Submitted(problem=f"control folder {folder} is not there", gone=True)
    try:
        return Submitted(scheduler_id=scheduler.submit(submission, facts).parse(stdout, stderr, status))
    except SubmissionRejected as error:
        return Submitted(refused=error.message)
    except SchedulerError as error:
        return Submitted(problem=error.message)


def _read_array(
    scheduler: Scheduler, facts: SchedulerFacts, unit: Unit, array: Submission, text: tuple[str, str, int]
) -> dict[str, Submitted]:
    """Return what became of each task. An array that is refused says nothing about its tasks: they go alone then."""
    stdout, stderr, status = text
    numbered = [(index, submission.name) for index, submission in enumerate(unit.submissions, 1)]
    if status in (MISSING, CLAIMED):
        missing, claimed = read_look(stdout)
        # Where a run of the array has begun, it was submitted before, and is found by its name.
        other = Submitted(alone=True) if status == MISSING else Submitted(problem="a task of the array has begun")
        return {
            name: Submitted(scheduler_id=claimed[index])
            if index in claimed
            else Submitted(problem="the control folder is not there", gone=True)
            if index in missing
            else other
            for index, name in numbered
        }
    if status == NOT_MADE:
        problem = f"the array's folder could not be made: {' '.join(stderr.split())[:300]}"
        return {name: Submitted(problem=problem) for _, name in numbered}
    answer = _read_one(scheduler, facts, array, text)
    if answer.scheduler_id is not None:
        return {name: Submitted(scheduler_id=scheduler.task_id(answer.scheduler_id, i)) for i, name in numbered}
    if answer.refused is not None:
        return {name: Submitted(problem=answer.refused, alone=True) for _, name in numbered}
    return {name: answer for _, name in numbered}
