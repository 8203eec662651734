"""Changing jobs: cancelling, holding, running again, and the rest of their verbs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.assignments import loose, parameters_of, split, tags_of, values_of
from gateway.cli.crate_commands import run_crate
from gateway.cli.exits import Exit, UsageMistake, job_exit
from gateway.cli.job_commands import JobId, Set, Store, Tag, Target
from gateway.cli.list_commands import Ids, OfCase, OfSweep, OfTarget, Query, State, WithTag
from gateway.cli.session import Session, note, session_of
from gateway.cli.specification_file import read_specification
from gateway.cli.story import verdict
from gateway.cli.text import line, number_of
from gateway.cli.watching import watch
from gateway.client import Gateway
from gateway.client.crates import wish
from gateway.errors import Conflict
from gateway.model.job import BulkItem, Job
from gateway.model.states import ENDED

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Without asking, where filters choose the jobs.")]
Draft = Annotated[bool, typer.Option("--draft", help="Only keep it; let it run later.")]


def cancel(
    context: typer.Context,
    job_ids: Ids = None,
    state: State = None,
    target: OfTarget = None,
    case: OfCase = None,
    sweep: OfSweep = None,
    tag: WithTag = None,
    query: Query = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end.")] = False,
    yes: Yes = False,
) -> int:
    """End a job, or several; what they have written is kept."""
    session = session_of(context)
    filters = _filters(state=state, target=target, case=case, sweep=sweep, tag=tag, q=query)
    with session.gateway() as gateway:
        ids = _chosen(gateway, job_ids, filters)
        if ids is None or len(ids) > 1:
            if wait:
                raise UsageMistake("--wait goes with one job")
            return _bulk(session, gateway, "cancel", ids, filters, yes=yes)
        (whole,) = ids
        try:
            job = gateway.cancel(whole).info
        except Conflict as error:
            raise Conflict(error.message, hint=f"see: gateway show {whole[:8]}") from None
        if wait:
            job = gateway.wait(whole).info
    if session.json:
        session.answer(job)
    else:
        note(verdict(job) if job.state in ENDED else f"{whole[:8]}: cancel requested")
    return Exit.DONE


def delete(
    context: typer.Context,
    job_ids: Ids = None,
    state: State = None,
    target: OfTarget = None,
    case: OfCase = None,
    sweep: OfSweep = None,
    tag: WithTag = None,
    query: Query = None,
    yes: Yes = False,
) -> int:
    """Forget jobs that have ended; their outputs stay in the stores."""
    session = session_of(context)
    filters = _filters(state=state, target=target, case=case, sweep=sweep, tag=tag, q=query)
    with session.gateway() as gateway:
        ids = _chosen(gateway, job_ids, filters)
        if ids is None or len(ids) > 1:
            return _bulk(session, gateway, "delete", ids, filters, yes=yes)
        gateway.delete(ids[0])
    if session.json:
        session.answer({"id": ids[0], "done": True, "problem": None})
    else:
        note(f"{ids[0][:8]}: forgotten; its outputs stay")
    return Exit.DONE


def _filters(**given: str | None) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value}


def _chosen(gateway: Gateway, ids: Sequence[str] | None, filters: dict[str, Any]) -> list[str] | None:
    """Return the jobs that are named, None where filters choose them."""
    if bool(ids) == bool(filters):
        raise UsageMistake("which jobs? name their ids, or choose them by filters such as --state")
    return list(dict.fromkeys(gateway.resolve(one) for one in ids)) if ids else None


def _bulk(
    session: Session, gateway: Gateway, verb: str, ids: list[str] | None, filters: dict[str, Any], *, yes: bool
) -> int:
    if ids is None and not yes:
        count = len(list(gateway.jobs(limit=None, **filters)))
        if not typer.confirm(f"{verb} {number_of(count, 'job')}, as far as it is possible?", err=True):
            return Exit.DONE
    many = gateway.cancel_many if verb == "cancel" else gateway.delete_many
    found = many(ids, **filters)
    if session.json:
        session.answer({"items": found, "next_cursor": None})
    else:
        _tell(found, "cancel requested" if verb == "cancel" else "forgotten")
    return Exit.DONE if all(item.done for item in found) else Exit.REFUSED


def _tell(found: Sequence[BulkItem], done: str) -> None:
    for item in found:
        detail = item.problem.detail if item.problem else "refused"
        note(f"{item.id[:8]}: {done if item.done else line(detail)}")
    if not found:
        note("no jobs like that")


def _verb(verb: str, told: str) -> Any:
    def command(context: typer.Context, job_id: JobId) -> None:
        session = session_of(context)
        with session.gateway() as gateway:
            job = gateway.act(gateway.resolve(job_id), verb).info
        if session.json:
            session.answer(job)
        else:
            note(f"{job.id[:8]}: {told}")

    return command


VERBS = {
    "hold": ("hold", "Keep a job from starting.", "it will not start before it is released"),
    "release": ("release", "Let a held job start.", "released"),
    "sync": (
        "sync",
        "Copy all outputs of a running job now, or what is missing of an ended one.",
        "a full pass was asked for",
    ),
    "abandon": ("abandon", "Give up a job whose state is unknown.", "given up"),
    "start": ("submit", "Let a draft run.", "submitted"),
}
"""Command: verb of the API, help, what is told."""


def rerun(
    context: typer.Context,
    job_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A job's id, a unique beginning of one, or @last.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--changes", metavar="FILE", help="A merge patch over the request.")
    ] = None,
    values: Set = None,
    target: Target = None,
    store: Store = None,
    name: Annotated[str | None, typer.Option(help="Call it so instead.")] = None,
    tag: Tag = None,
    draft: Draft = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; status 10 unless it succeeded.")] = False,
    from_crate: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Run what an RO-Crate holds: a folder, a zip file or a URL.")
    ] = None,
    files: Annotated[
        list[Path] | None, typer.Option("--file", help="An input that the crate only has the digest of.")
    ] = None,
    any_image: Annotated[bool, typer.Option("--any-image", help="Take another build of the image, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what a crate would run.")] = False,
) -> int:
    """Run the same again, with changes; print the new job's id, and what differs."""
    session = session_of(context)
    more = {key: value for key, value in (("name", name),) if value}
    if from_crate is not None:
        if job_id is not None or draft:
            raise UsageMistake("--from-crate goes neither with a job's id nor with --draft")
        changes = _changes_of_crate(file, values, tag) | more
        wanted = wish(target, store, changes, any_image=any_image, files=tuple(files or ()))
        return run_crate(session, from_crate, wanted, dry_run=dry_run, wait=wait)
    if job_id is None or files or any_image or dry_run:
        problem = "--file, --any-image and --dry-run go with --from-crate" if job_id else "Missing argument 'ID'"
        raise UsageMistake(problem, hint="see: gateway rerun --help")
    with session.gateway() as gateway:
        old = gateway.job(gateway.resolve(job_id)).info
        changes = _changes(gateway, old, file, values) | more
        changes |= {key: value for key, value in (("target", target), ("stores", store)) if value}
        if tag:
            changes["tags"] = tags_of(tag)
        job = gateway.rerun(old.id, changes, draft=draft).info
        if not session.json:
            print(job.id, flush=True)
            for change in job.changes or ():
                note(f"  {line(change.pointer)}: {_shown(change.before)} -> {_shown(change.after)}")
            note(f"{job.state} on {line(job.target)}; watch it with: gateway watch {job.id[:8]}")
        if wait and not draft:
            ended = watch(gateway, job.id, quiet=session.json)
            job = ended.model_copy(update={"changes": job.changes})
    if session.json:
        session.answer(job)
    elif wait and not draft:
        note(verdict(job))
    return job_exit(job) if wait and not draft else Exit.DONE


def _changes_of_crate(file: str | None, values: list[str] | None, tag: list[str] | None) -> dict[str, Any]:
    changes = read_specification(file) if file else {}
    if values:
        changes["values"] = {**(changes.get("values") or {}), **values_of(values, {})}
    if tag:
        changes["tags"] = tags_of(tag)
    return changes


def _changes(gateway: Gateway, old: Job, file: str | None, values: list[str] | None) -> dict[str, Any]:
    changes = read_specification(file) if file else {}
    if values:
        if old.case is None:
            raise UsageMistake("--set gives values of a case, and this job has none", hint="use --changes FILE")
        changes["values"] = {**(changes.get("values") or {}), **values_of(values, parameters_of(gateway, old.case))}
    return changes


def _shown(value: Any) -> str:
    return "nothing" if value is None else line(str(value))[:60]


def clone(context: typer.Context, job_id: JobId) -> None:
    """Make a draft with the same request, and print its id."""
    session = session_of(context)
    with session.gateway() as gateway:
        job = gateway.clone(gateway.resolve(job_id)).info
    if session.json:
        session.answer(job)
    else:
        print(job.id)
        note(f"a draft; change it with: gateway edit {job.id[:8]}, let it run with: gateway start {job.id[:8]}")


def edit(
    context: typer.Context,
    job_id: JobId,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Such as resources.cpus=4; null takes away.")
    ] = None,
    file: Annotated[str | None, typer.Option("--changes", metavar="FILE", help="A JSON merge patch.")] = None,
    name: Annotated[str | None, typer.Option(help="Call it so.")] = None,
    notes: Annotated[str | None, typer.Option(help="Keep these notes with it.")] = None,
    tag: Tag = None,
) -> None:
    """Change a job: a draft in everything, any other in its name, tags and notes."""
    session = session_of(context)
    patch: dict[str, Any] = read_specification(file) if file else {}
    for text in changes or ():
        _place(patch, *split(text, "change"))
    patch |= {field: value for field, value in (("name", name), ("notes", notes)) if value is not None}
    if tag:
        patch["tags"] = {**(patch.get("tags") or {}), **tags_of(tag)}
    if not patch:
        raise UsageMistake("nothing to change", hint="give FIELD=VALUE, --name, --notes, --tag or --changes FILE")
    with session.gateway() as gateway:
        job = gateway.job(gateway.resolve(job_id)).edit(**patch).info
    if session.json:
        session.answer(job)
    else:
        note(f"{job.id[:8]}: changed")


def _place(patch: dict[str, Any], field: str, text: str) -> None:
    """Put a value where a dotted name says."""
    *folders, last = field.split(".")
    for folder in folders:
        inner = patch.setdefault(folder, {})
        if not isinstance(inner, dict):
            raise UsageMistake(f"{field!r} lies inside of something that was given whole")
        patch = inner
    patch[last] = loose(text)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (cancel, rerun, clone, edit, delete):
        app.command()(command)
    for name, (verb, text, told) in VERBS.items():
        app.command(name, help=text)(_verb(verb, told))
