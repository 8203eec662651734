"""One remote command that sees all live jobs of a target: the scheduler's answer and what changed in their records."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import RowMapping

from gateway.compute.records import (
    CHUNK,
    FOLLOWED,
    NEWS,
    KnownClaim,
    RecordRequest,
    RecordUpdate,
    parse_records,
    records_section,
)
from gateway.compute.remote import RemoteScript
from gateway.compute.scheduler.base import QueryAnswer, Scheduler, SchedulerFacts, SchedulerJob
from gateway.compute.transport.base import CommandResult
from gateway.errors import SchedulerError

QUERY, RECORDS, FIND = "query", "records", "find"
KEPT = "kept-"
"""Before a submission's name: the scheduler's answer as the submit command kept it."""
AT_ONCE = 5000
"""Jobs that one remote command looks at."""
SECONDS_A_JOB = 0.01
"""Further time for each job of a command: a shared file system may take milliseconds for a folder."""
SHORTEST = 8 * 1024
"""Bytes of each followed file at least: the lines in them are shorter."""


@dataclass(frozen=True)
class Sight:
    """What a tick saw.

    Attributes
    ----------
    asked
        False where the scheduler's answer could not be used; `problem` says why.
    whole
        False where it could be used but some ids were not answered: those that are not in `jobs` are then unanswered,
        not unknown.
    """

    jobs: Mapping[str, SchedulerJob] = field(default_factory=dict)
    records: Mapping[str, RecordUpdate] = field(default_factory=dict)
    found: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    asked: bool = False
    whole: bool = False
    problem: str | None = None


def record_request(row: RowMapping, synced: str | None = None) -> RecordRequest:
    """Return what to read of a job's records since last time; `synced` names the ``sync.json`` that was read then."""
    offsets = row["a_offsets"] or {}
    known = KnownClaim.from_json(offsets.get("claim"))
    return RecordRequest(row["a_control_folder"], offsets, known=known, synced=synced)


def chunk_for(jobs: int) -> int:
    """Return how many bytes of each followed file one command may carry that looks at so many jobs."""
    return min(CHUNK, max(SHORTEST, NEWS // (len(FOLLOWED) * max(1, jobs))))


def poll_script(
    scheduler: Scheduler,
    facts: SchedulerFacts,
    ids: Sequence[str],
    lost: Mapping[str, str],
    requests: Sequence[RecordRequest],
) -> RemoteScript:
    """Return the tick's script.

    Parameters
    ----------
    ids
        Scheduler ids to ask about.
    lost
        Submissions whose answer was lost, with their control folders: looked for by name.
    """
    script = RemoteScript()
    if ids:
        script.add(QUERY, scheduler.query(ids, facts).line())
    if lost:
        script.add(FIND, scheduler.find(list(lost), facts).line())
    for name, folder in lost.items():
        script.add(KEPT + name, f"cat {shlex.quote(folder + '/scheduler_id')} 2>/dev/null")
    if requests:
        script.add(RECORDS, records_section(requests, chunk_for(len(requests))))
    return script


def read_sight(
    scheduler: Scheduler,
    facts: SchedulerFacts,
    ids: Sequence[str],
    names: Sequence[str],
    sections: Mapping[str, CommandResult],
    requests: Sequence[RecordRequest] = (),
) -> Sight:
    """Return the meaning of the tick's answer. A scheduler that cannot be understood says nothing, not 'ended'."""
    answer, found, asked, problem = QueryAnswer({}), dict[str, tuple[str, ...]](), True, None
    try:
        if QUERY in sections:
            answer = scheduler.query(ids, facts).parse(*sections[QUERY].text())
        if FIND in sections:
            found = dict(scheduler.find(names, facts).parse(*sections[FIND].text()))
    except SchedulerError as error:
        asked, problem = False, error.message
    records = dict[str, RecordUpdate]()
    if RECORDS in sections:
        records = parse_records(sections[RECORDS].stdout, requests, chunk_for(len(requests)))
    kept = {name: sections[KEPT + name].text()[0] for name in names if KEPT + name in sections}
    whole = asked and not answer.problems
    return Sight(answer.jobs, records, found, kept, asked, whole, problem or "; ".join(answer.problems) or None)
