"""Finding jobs: the list with its filters, and one job in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from gateway.cli.groups import group_with_default
from gateway.cli.job_commands import JobId
from gateway.cli.session import Session, note, session_of
from gateway.cli.story import waiting
from gateway.cli.text import ago, line, moment, number_of, size
from gateway.client.handles import told_progress, told_state
from gateway.model.job import Job
from gateway.model.states import ENDED

jobs_app = group_with_default("list", "List and show jobs.", alone=True)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Jobs: ids, unique beginnings, or @last.")]
State = Annotated[str | None, typer.Option(help="Only these states, separated by commas.")]
OfTarget = Annotated[str | None, typer.Option("--target", help="Only those of this target.")]
OfCase = Annotated[str | None, typer.Option("--case", help="Only those of this case.")]
OfSweep = Annotated[str | None, typer.Option("--sweep", help="Only those of this sweep (its whole id).")]
OfOwner = Annotated[str | None, typer.Option("--owner", help="Administrators: those of this person, * for all.")]
WithTag = Annotated[str | None, typer.Option("--tag", help="Only those with this tag, as NAME:VALUE or NAME.")]
Query = Annotated[str | None, typer.Option("--query", "-q", help="Only those with this in their name or notes.")]
CreatedAfter = Annotated[str | None, typer.Option(metavar="TIME", help="Created then or later (2026-01-31 …).")]
CreatedBefore = Annotated[str | None, typer.Option(metavar="TIME", help="Created before that.")]
EndedAfter = Annotated[str | None, typer.Option(metavar="TIME", help="Ended then or later.")]
EndedBefore = Annotated[str | None, typer.Option(metavar="TIME", help="Ended before that.")]


@jobs_app.command("list")
def list_jobs(
    context: typer.Context,
    state: State = None,
    target: OfTarget = None,
    case: OfCase = None,
    sweep: OfSweep = None,
    owner: OfOwner = None,
    tag: WithTag = None,
    query: Query = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    ended_after: EndedAfter = None,
    ended_before: EndedBefore = None,
    sort: Annotated[str | None, typer.Option(help="-created_at, ended_at, name, state, target …")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List jobs, newest first."""
    session = session_of(context)
    given = {
        "state": state,
        "target": target,
        "case": case,
        "sweep": sweep,
        "owner": owner,
        "tag": tag,
        "q": query,
        "created_after": created_after,
        "created_before": created_before,
        "ended_after": ended_after,
        "ended_before": ended_before,
    }
    filters = {name: value for name, value in given.items() if value}
    with session.gateway() as gateway:
        found = [job.info for job in gateway.jobs(limit=limit, sort=sort, **filters)]
    show_jobs(session, found, filtered=bool(filters))


def show_jobs(session: Session, found: Sequence[Job], *, filtered: bool) -> None:
    """Print jobs as a table."""
    if session.json:
        session.answer({"items": found, "next_cursor": None})
    elif not found:
        note("no jobs" + (" like that" if filtered else "; submit one with: gateway submit FILE"))
    else:
        heads = ("ID", "STATE", "NAME", "TARGET", "CREATED", "OUTPUTS")
        session.table(heads, (_row(job) for job in found))


def _row(job: Job) -> tuple[str, ...]:
    state = told_state(job)
    if job.progress and job.state not in ENDED:
        state += f", {told_progress(job.progress)}"
    outputs = f"{job.outputs.state} {number_of(job.outputs.count, 'file')} {size(job.outputs.bytes)}"
    return job.id[:8], state, job.name, job.target, ago(job.created_at), outputs


@jobs_app.command()
def show(context: typer.Context, job_id: JobId) -> None:
    """Show a job."""
    session = session_of(context)
    with session.gateway() as gateway:
        job = gateway.job(gateway.resolve(job_id)).info
    show_job(session, job)


def show_job(session: Session, job: Job) -> None:
    """Print what is known of a job."""
    if session.json:
        session.answer(job)
        return
    for name, value in _facts(job):
        if value not in (None, "", "-"):
            print(f"{name:<13} {line(str(value))}")


def _facts(job: Job) -> list[tuple[str, Any]]:
    spec = job.spec or {}
    image = spec.get("image") or {}
    facts: list[tuple[str, Any]] = [
        ("id", job.id),
        ("name", job.name),
        ("state", job.state),
        ("was", job.last_state if job.state == "unknown" else None),
        ("reason", job.reason),
        ("message", job.message),
        ("progress", told_progress(job.progress)),
        ("exit code", job.exit_code),
        ("owner", job.owner),
        ("case", job.case),
        ("values", ", ".join(f"{name}={value}" for name, value in job.values.items())[:300]),
        ("target", job.target),
        ("scheduler id", job.scheduler_id),
        ("attempt", job.attempt),
        ("held", "by its owner" if job.hold else None),
        ("waits for", " ".join(one[:8] for one in (*job.after_success, *job.after_end))),
        ("rerun of", job.rerun_of),
        ("sweep", job.sweep),
        ("image", image.get("ref")),
        ("command", " ".join(spec.get("command") or ())[:300]),
        ("tags", ", ".join(f"{key}:{value}" for key, value in job.tags.items())),
        ("notes", job.notes),
        ("created", moment(job.created_at)),
        ("queued", moment(job.queued_at)),
        ("started", moment(job.started_at)),
        ("ended", moment(job.ended_at)),
        ("seen", moment(job.observed_at) if job.state not in ENDED else None),
    ]
    for store, kept in job.outputs.stores.items():
        what = f"{kept.state}, {number_of(kept.count, 'file')}, {size(kept.bytes)}"
        if kept.verified_at is not None:
            what += f"; {kept.verdict} {moment(kept.verified_at)}"
        facts.append((f"in {store}", "; ".join(filter(None, (what, waiting(kept))))))
    return facts


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(jobs_app, name="jobs")
    app.command()(show)
