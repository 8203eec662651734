"""The commands ``retention …``: how long outputs are kept, and what is removed or archived."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError

from gateway.cli.exits import UsageMistake
from gateway.cli.job_commands import JobId
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import ago, line, moment, number_of, size
from gateway.client import retention
from gateway.model.retention import JobRetention, OwnRule, RetentionItem

retention_app = typer.Typer(help="How long outputs are kept.", no_args_is_help=True)

Rules = Annotated[list[str] | None, typer.Option("--rule", help="Only this rule; may be given again.")]
Jobs = Annotated[list[str] | None, typer.Option("--job", help="Only this job; may be given again.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Without asking.")]


@retention_app.command()
def plan(
    context: typer.Context,
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    job: Annotated[str | None, typer.Option(help="Only this job.")] = None,
) -> None:
    """Show what would be removed or archived now. Nothing is changed. For administrators."""
    session = session_of(context)
    with session.gateway() as gateway:
        found = gateway.run(retention.plan(rule, gateway.resolve(job) if job else None))
    if session.json:
        session.answer({"items": found})
        return
    _show_plan(session, found)


def _show_plan(session: Session, found: list[RetentionItem]) -> None:
    heads = ("JOB", "NAME", "OWNER", "ENDED", "STORE", "RULE", "ACTION", "OUTPUTS", "SIZE", "KEPT BACK")
    session.table(
        heads,
        (
            (
                item.job_id,
                item.job_name,
                item.owner,
                ago(item.ended_at),
                item.store,
                item.rule,
                f"{item.action} {item.tier}" if item.tier else item.action,
                str(item.count),
                size(item.bytes),
                item.blocked or "",
            )
            for item in found
        ),
    )
    free = [item for item in found if item.blocked is None]
    outputs = number_of(sum(item.count for item in free), "output")
    note(f"{outputs}, {size(sum(item.bytes for item in free))}: carry it out with: gateway retention run")


@retention_app.command()
def run(context: typer.Context, rule: Rules = None, job: Jobs = None, yes: Yes = False) -> None:
    """Begin what the rules ask for now; it is carried out beside. For administrators."""
    session = session_of(context)
    with session.gateway() as gateway:
        jobs = [gateway.resolve(one) for one in job or ()]
        if not yes:
            if not sys.stdin.isatty():
                raise UsageMistake(
                    "nobody can be asked here", hint="look with 'gateway retention plan', then add --yes"
                )
            if not typer.confirm("Remove and archive what 'gateway retention plan' shows?", err=True):
                raise typer.Abort
        begun = gateway.run(retention.run(rule or (), jobs))
    if session.json:
        session.answer(begun)
        return
    kept = f"; {begun.blocked} kept back" if begun.blocked else ""
    note(f"{number_of(begun.works, 'work')} begun{kept}; see: gateway retention list")


@retention_app.command("list")
def list_works(
    context: typer.Context,
    open_only: Annotated[bool, typer.Option("--open", help="Only what is not done yet.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, the newest.")] = 50,
) -> None:
    """Show what was begun, and how far it is. For administrators."""
    session = session_of(context)
    with session.gateway() as gateway:
        found = gateway.run(retention.works(limit, open_only=open_only))
    if session.json:
        session.answer({"items": found})
        return
    heads = ("JOB", "STORE", "RULE", "ACTION", "BY", "BEGUN", "DONE", "OUTPUTS", "SIZE", "PROBLEM")
    session.table(
        heads,
        (
            (
                work.job_id,
                work.store,
                work.rule,
                work.action,
                work.by,
                ago(work.created_at),
                ago(work.done_at),
                str(work.count),
                size(work.bytes),
                work.problem or "",
            )
            for work in found
        ),
    )


@retention_app.command()
def show(context: typer.Context, job_id: JobId) -> None:
    """Show what holds for a job's outputs."""
    session = session_of(context)
    with session.gateway() as gateway:
        _say(session, gateway.run(retention.show(gateway.resolve(job_id))))


@retention_app.command()
def hold(
    context: typer.Context,
    job_id: JobId,
    why: Annotated[str | None, typer.Option(help="What they are kept for.")] = None,
) -> None:
    """Keep a job's outputs: while the hold stands, none is removed or archived."""
    session = session_of(context)
    with session.gateway() as gateway:
        _say(session, gateway.run(retention.hold(gateway.resolve(job_id), why)))


@retention_app.command()
def release(context: typer.Context, job_id: JobId) -> None:
    """Take your hold away."""
    session = session_of(context)
    with session.gateway() as gateway:
        _say(session, gateway.run(retention.release(gateway.resolve(job_id))))


@retention_app.command("set")
def set_rule(
    context: typer.Context,
    job_id: JobId,
    after_days: Annotated[float, typer.Option(min=0, help="Days after the job's end.")],
    keep: Annotated[list[str] | None, typer.Option(help="A pattern of outputs to keep; may be given again.")] = None,
    archive: Annotated[bool, typer.Option("--archive", help="Archive instead of removing.")] = False,
) -> None:
    """Set how long the outputs of your job are kept, where the administrator lets you."""
    session = session_of(context)
    try:
        rule = OwnRule(after_days=after_days, keep=tuple(keep or ()), action="archive" if archive else "delete")
    except ValidationError as error:
        raise UsageMistake(error.errors()[0]["msg"]) from None
    with session.gateway() as gateway:
        _say(session, gateway.run(retention.set_rule(gateway.resolve(job_id), rule)))


@retention_app.command()
def unset(context: typer.Context, job_id: JobId) -> None:
    """Take your own rule for a job away."""
    session = session_of(context)
    with session.gateway() as gateway:
        _say(session, gateway.run(retention.remove_rule(gateway.resolve(job_id))))


@retention_app.command()
def clean(context: typer.Context, job_id: JobId, yes: Yes = False) -> None:
    """Remove the folder of an ended job from its target, with outputs that are in no store."""
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageMistake("nobody can be asked here", hint="add --yes")
            if not typer.confirm("Give up what is in the job's folder only?", err=True):
                raise typer.Abort
        _say(session, gateway.run(retention.give_up_folder(whole)))


def _say(session: Session, found: JobRetention) -> None:
    if session.json:
        session.answer(found)
        return
    for held in found.holds:
        print(line(f"held by {held.by} ({held.kind}) {ago(held.at)}" + (f": {held.why}" if held.why else "")))
    if found.own is not None:
        kept = f", keeping {', '.join(found.own.keep)}" if found.own.keep else ""
        print(line(f"own rule: {found.own.action} after {found.own.after_days:g} days{kept}"))
    for item in found.coming:
        when = "due now" if item.at <= datetime.now(UTC) else f"from {moment(item.at)} on"
        who = "" if found.automatic else ", when an administrator runs it"
        kept = f", keeping {', '.join(item.keep)}" if item.keep else ""
        back = f"; kept back now: {item.blocked}" if item.blocked else ""
        print(line(f"{item.store}: {item.action} by rule {item.rule}{kept}, {when}{who}{back}"))
    for work in found.works:
        when = f"done {ago(work.done_at)}" if work.done_at else work.problem or "going on"
        rule = f"rule {work.rule}, " if work.rule != work.action else ""
        what = f"{work.action} {number_of(work.count, 'output')}, {size(work.bytes)} ({rule}by {work.by})"
        print(line(f"{work.store}: {what}: {when}"))
    if found.archived:
        back = f", {found.restoring} of them on the way back" if found.restoring else ""
        print(f"{number_of(found.archived, 'output')} archived{back}")
    if found.going:
        print(f"{number_of(found.going, 'output')} going at this moment")
    words = {"there": "stays for now", "going": "is being removed", "removed": "is removed"}
    print(f"the job's folder on its target {words[found.folder]}")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(retention_app, name="retention")
