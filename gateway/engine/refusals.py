"""A scheduler's no is believed only where nothing is found of the job: programs also fail after the job is in."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence

from gateway.compute.remote import RemoteScript
from gateway.compute.scheduler.base import SchedulerFacts
from gateway.compute.target import Target
from gateway.compute.transport.base import CommandResult
from gateway.engine.submit import Submitted, Unit
from gateway.errors import SchedulerError

log = logging.getLogger(__name__)

FIND, CLAIM = "find", "claim-"


def _is_refused(unit: Unit, answers: Mapping[str, Submitted]) -> bool:
    found = [answers[submission.name] for submission in unit.submissions]
    if unit.array is not None:
        return any(answer.alone and answer.problem is not None for answer in found)
    return found[0].refused is not None


async def confirm(
    target: Target, units: Sequence[Unit], answers: Mapping[str, Submitted], facts: SchedulerFacts, timeout: float
) -> dict[str, Submitted]:
    """Look for what was refused, in one remote command, and return the answers as they are then.

    What is found has been taken; where the scheduler cannot be asked, nobody knows.

    Raises
    ------
    TargetUnreachable
    """
    refused = [unit for unit in units if _is_refused(unit, answers)]
    if not refused:
        return dict(answers)
    find = target.scheduler.find([unit.name for unit in refused], facts)
    script = RemoteScript()
    script.add(FIND, find.line())
    for unit in refused:
        for submission in unit.submissions:
            claim = shlex.quote(f"{submission.control_folder}/claim")
            script.add(CLAIM + submission.name, f"sed -n 's/^scheduler_id=//p' {claim} 2>/dev/null")
    sections = script.parse(await target.transport.run(script.text, timeout=timeout))
    try:
        found: Mapping[str, tuple[str, ...]] | None = find.parse(*sections[FIND].text())
    except SchedulerError as error:
        log.warning("target %s: what was refused could not be looked for: %s", target.name, error)
        found = None
    return {**answers, **{name: answer for unit in refused for name, answer in _judge(target, unit, found, sections)}}


def _judge(
    target: Target, unit: Unit, found: Mapping[str, tuple[str, ...]] | None, sections: Mapping[str, CommandResult]
) -> list[tuple[str, Submitted]]:
    """Return the answers that change."""
    ids = (found or {}).get(unit.name, ())
    changed = []
    for index, submission in enumerate(unit.submissions, 1):
        claimed = sections[CLAIM + submission.name].text()[0].strip()
        if claimed or ids:
            by_name = target.scheduler.task_id(ids[0], index) if ids and unit.array is not None else "".join(ids[:1])
            log.warning("submission %s was refused, and is there all the same", unit.name)
            changed.append((submission.name, Submitted(scheduler_id=claimed or by_name)))
        elif found is None:
            changed.append((submission.name, Submitted(problem="it was refused, and could not be looked for")))
    return changed
