"""Dry runs: what would become of a specification, without storing anything."""

from __future__ import annotations

import asyncio
import posixpath
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from gateway.compute.estimate import Estimate, estimate
from gateway.compute.scheduler.base import SchedulerFacts, Submission
from gateway.compute.script import ScriptRequest, asked_for, library_of, render
from gateway.compute.target import Target, TargetPaths
from gateway.db import jobs as table
from gateway.db.database import Database
from gateway.db.tables import job_stores
from gateway.errors import GatewayError, InvalidRequest
from gateway.jobs.acceptance import Acceptance, Accepted
from gateway.jobs.rows import check_dependencies, new_row
from gateway.jobs.views import job_of
from gateway.model.job import FieldProblem, Job, Preview
from gateway.model.specification import JobSpecification
from gateway.model.states import OutputsState, State

DRY_RUN_ID = str(uuid.UUID(int=0))
"""The id that a job has which was only tried."""
_SUBMISSION = "gw-" + "0" * 12
_PATIENCE = 10.0
"""Seconds that the target gets to say which scheduler it has."""


class Rehearsal:
    """Tries specifications out.

    Parameters
    ----------
    lanes
        The targets, and people's own accounts there.
    """

    def __init__(self, database: Database, acceptance: Acceptance, lanes: Mapping[str, Target]) -> None:
        self.database = database
        self.acceptance = acceptance
        self.lanes = lanes

    async def try_out(self, body: Any, owner: str) -> Job:
        """Return the job as it would be, with a preview.

        The target is asked which scheduler it has and when that could start the job. Where it does not answer, that
        is one of the preview's problems.

        Raises
        ------
        InvalidRequest
            The specification cannot be carried out.
        """
        acceptance = self.acceptance.for_person(owner)
        accepted = await asyncio.to_thread(acceptance.accept, body)
        row = new_row(accepted, owner, State.DRAFT, acceptance.settings)

        def check(connection: Connection) -> None:
            check_dependencies(connection, row["id"], owner, accepted.specification)

        await self.database.read(check)
        preview = await _preview(accepted, self.lanes[row["lane"]])
        return _job(row, accepted).model_copy(update={"preview": preview})


async def _preview(accepted: Accepted, target: Target) -> Preview:
    problems: list[FieldProblem] = []
    facts, paths = SchedulerFacts(""), _configured_paths(target)
    expected = Estimate()
    try:
        paths = await target.paths()
        detect = target.scheduler.detect()
        answer = await target.transport.run(detect.line(), timeout=_PATIENCE)
        facts = detect.parse(*answer.text())
        expected = await estimate(target, accepted.specification)
    except GatewayError as error:
        problems.append(FieldProblem(pointer="#/target", detail=f"the target cannot be used now: {error}"))
    if expected.refusal is not None:
        problems.append(FieldProblem(pointer="#/resources", detail=f"the scheduler refuses it: {expected.refusal}"))
    script = None
    try:
        script = render(script_request(accepted.specification, target, facts, paths))
    except InvalidRequest as error:
        problems += [FieldProblem(pointer=item.pointer, detail=item.detail) for item in error.errors]
    except GatewayError as error:
        problems.append(FieldProblem(pointer="#/target", detail=str(error)))
    return Preview(script=script, request=accepted.request, problems=problems, estimated_start=expected.start)


def script_request(
    specification: JobSpecification, target: Target, facts: SchedulerFacts, paths: TargetPaths
) -> ScriptRequest:
    """Return what the script would be rendered from: of no job, and without stores and credentials.

    Raises
    ------
    InvalidRequest
        The scheduler has no directive for something that is asked for.
    """
    control = posixpath.join(paths.control_root, DRY_RUN_ID, "1")
    submission = Submission(_SUBMISSION, control, specification.resources)
    libraries = {runtime.kind: runtime.library() for runtime in target.runtimes}
    return ScriptRequest(
        job_id=DRY_RUN_ID,
        attempt=1,
        job_folder=posixpath.join(paths.workdir, DRY_RUN_ID),
        control_folder=control,
        scheduler_kind=target.scheduler.kind,
        directives=target.scheduler.directives(submission, facts),
        preamble=target.scheduler_settings.preamble,
        kill_delay=target.scheduler_settings.kill_delay,
        runtimes=tuple(libraries) if specification.image else ("host",),
        runtime_libraries=libraries,
        image_cache=paths.image_cache,
        pull=target.settings.pull.variables(),
        binds=target.binds,
        bind_roots=target.bind_roots,
        tool_runtimes=tuple(libraries),
        scratch=target.settings.scratch,
        rclone=None,
        stores=(),
        transfers=(),
        library=library_of(paths.tools, libraries),
        **asked_for(specification),
    )


def _configured_paths(target: Target) -> TargetPaths:
    """Return the folders as they are configured: a ``~`` is not resolved."""
    root = posixpath.join(target.workdir, ".gateway")
    return TargetPaths(target.workdir, root, posixpath.join(root, "tools"), target.image_cache)


def _job(row: Mapping[str, Any], accepted: Accepted) -> Job:
    empty: dict[str, Any] = dict.fromkeys(Job.model_fields)
    none = dict.fromkeys(job_stores.c.keys()) | {"state": OutputsState.NONE, "count": 0, "bytes": 0}
    stores = [none | {"store": item.store} for item in accepted.stores]
    specification = accepted.specification
    waits_for = {"after_success": specification.after_success, "after_end": specification.after_end}
    made = {"version": 1, "attempt": 1, "hold": False, "created_at": table.now()}
    return job_of(empty | made | dict(row) | {"id": DRY_RUN_ID}, stores, waits_for)
