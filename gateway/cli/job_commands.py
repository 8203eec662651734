"""Submitting jobs, and reading what they say."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.assignments import parameters_of, tags_of, values_of
from gateway.cli.exits import Exit, UsageMistake, job_exit
from gateway.cli.session import Session, note, session_of
from gateway.cli.specification_file import read_specification
from gateway.cli.story import describe_any, verdict
from gateway.cli.text import PlainStream, line, plain
from gateway.cli.watching import transfer, watch
from gateway.client import Gateway
from gateway.model.job import Job

STREAMS = ("stdout", "stderr", "pull", "sync")
JobId = Annotated[str, typer.Argument(metavar="ID", help="A job's id, a unique beginning of one, or @last.")]
File = Annotated[
    str | None, typer.Argument(help="JSON, TOML or YAML; - for JSON on standard input. Files that it names are sent.")
]
Case = Annotated[str | None, typer.Option(help="Run this published case.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A value of the case.")]
Store = Annotated[list[str] | None, typer.Option(help="Keep the outputs in this store instead; may be repeated.")]
Tag = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Tag it so.")]
Target = Annotated[str | None, typer.Option(help="Run it there instead.")]
Tool = Annotated[
    list[str] | None,
    typer.Option(metavar="IMAGE", help="Have the commands of this image too: a name, or where it is; repeatable."),
]


def submit(
    context: typer.Context,
    file: File = None,
    case: Case = None,
    values: Set = None,
    target: Target = None,
    store: Store = None,
    name: Annotated[str | None, typer.Option(help="Call it so instead.")] = None,
    tag: Tag = None,
    tool: Tool = None,
    after: Annotated[list[str] | None, typer.Option(help="Start when this job has succeeded.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; status 10 unless it succeeded.")] = False,
    draft: Annotated[bool, typer.Option("--draft", help="Only keep it; let it run later.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check it, and show the script.")] = False,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same request gives the same job.")] = None,
) -> int:
    """Submit a job (a file, a case with values, or both), and print its id."""
    if file is None and case is None:
        raise UsageMistake("Missing argument 'FILE' or option '--case'", hint="see: gateway submit --help")
    if wait and (draft or dry_run):
        raise UsageMistake("--wait goes neither with --draft nor with --dry-run")
    session = session_of(context)
    body = specification(file, {"case": case, "target": target, "name": name, "stores": store})
    with session.gateway() as gateway:
        add_values(gateway, body, values)
        if tag:
            body["tags"] = {**(body.get("tags") or {}), **tags_of(tag)}
        if tool:
            body["tools"] = [*(body.get("tools") or ()), *tool]
        if after:
            body["after_success"] = [*(body.get("after_success") or ()), *map(gateway.resolve, after)]
        with transfer(quiet=session.json) as shown:
            job = gateway.submit(
                body,
                idempotency_key=key,
                draft=draft,
                dry_run=dry_run,
                folder=folder_of(file),
                on_upload=shown.sent,
            ).info
        if dry_run:
            return _rehearsed(session, job)
        return _submitted(session, gateway, job, wait=wait)


def specification(file: str | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the specification of a file, with what the command line says instead."""
    body = read_specification(file) if file is not None else {}
    return body | {name: value for name, value in fields.items() if value}


def folder_of(file: str | None) -> Path:
    """Return what a specification's names of local files are relative to: its own folder."""
    return Path() if file in (None, "-") else Path(str(file)).absolute().parent


def add_values(gateway: Gateway, body: dict[str, Any], given: list[str] | None) -> None:
    """Lay values of the command line over those of the specification."""
    if not given:
        return
    if not body.get("case"):
        raise UsageMistake("--set gives values of a case, and none is named", hint="name it with --case")
    parameters = parameters_of(gateway, str(body["case"]), body.get("case_version"))
    body["values"] = {**(body.get("values") or {}), **values_of(given, parameters)}


def _submitted(session: Session, gateway: Gateway, job: Job, *, wait: bool) -> int:
    if not session.json:
        print(job.id, flush=True)
        if job.state == "draft":
            note(f"a draft; let it run with: gateway start {job.id[:8]}")
        else:
            note(f"{job.state} on {line(job.target)}; watch it with: gateway watch {job.id[:8]}")
    if wait:
        job = watch(gateway, job.id, quiet=session.json)
    if session.json:
        session.answer(job)
    elif wait:
        note(verdict(job))
    return job_exit(job) if wait else Exit.DONE


def _rehearsed(session: Session, job: Job) -> int:
    if session.json:
        session.answer(job)
        return Exit.DONE
    preview = job.preview
    note(f"good for {line(job.target)}; nothing was submitted")
    if preview is not None:
        for problem in preview.problems:
            note(f"  {line(problem.pointer)}: {line(problem.detail)}")
        if preview.estimated_start is not None:
            note(f"  the scheduler expects it to start at {preview.estimated_start.astimezone():%Y-%m-%d %H:%M}")
        sys.stdout.write(plain(preview.script or ""))
    return Exit.DONE


def watch_job(context: typer.Context, job_id: JobId) -> int:
    """Tell what happens to a job until it has ended; status 10 unless it succeeded."""
    session = session_of(context)
    with session.gateway() as gateway:
        job = watch(gateway, gateway.resolve(job_id), quiet=session.json)
    if session.json:
        session.answer(job)
    else:
        print(verdict(job))
    return job_exit(job)


def events(
    context: typer.Context,
    job_id: Annotated[str | None, typer.Argument(metavar="ID", help="Of this job only.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only those behind this sequence.")] = 0,
    follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens.")] = False,
) -> None:
    """Print what happened, one line an event (with --json: one JSON document a line)."""
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id) if job_id else None
        if follow_it:
            found = gateway.job(whole).events(after) if whole else gateway.events(None, after)
        else:
            found = gateway.past_events(whole, after)
        for event in found:
            if session.json:
                session.line(event)
            elif text := describe_any(event):
                whose = "" if whole else f"  {(event.job_id or '-')[:8]}"
                print(f"{event.sequence:>6}  {event.at.astimezone():%Y-%m-%d %H:%M:%S}{whose}  {text}", flush=True)


def logs(
    context: typer.Context,
    job_id: JobId,
    stream: Annotated[str, typer.Option(help=f"One of {', '.join(STREAMS)}.")] = "stdout",
    follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, help="Begin so many bytes before the end.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The bytes as they are, terminal escapes too.")] = False,
) -> None:
    """Print a log (with --json: one JSON document for each piece)."""
    if stream not in STREAMS:
        raise UsageMistake(f"there is no log {stream!r}", hint=f"one of {', '.join(STREAMS)}")
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        text, decoder = PlainStream(), codecs.getincrementaldecoder("utf-8")("replace")
        if tail == 0 and not follow_it:
            return
        job = gateway.job(whole)
        for part in job.logs(stream, follow=follow_it, offset=0 if tail is None else -tail):
            if session.json:
                session.line({"stream": stream, "text": decoder.decode(part)})
            elif raw:
                sys.stdout.buffer.write(part)
                sys.stdout.buffer.flush()
            else:
                sys.stdout.write(text.feed(part))
                sys.stdout.flush()
        if not raw and not session.json:
            sys.stdout.write(text.feed(b"", final=True))


def manifest(context: typer.Context, job_id: JobId) -> None:
    """Print the signed manifest of a job's outputs, as JSON."""
    session = session_of(context)
    with session.gateway() as gateway:
        session.answer(gateway.manifest(gateway.resolve(job_id)))


def script(context: typer.Context, job_id: JobId) -> None:
    """Print the batch script of a job's attempt."""
    session = session_of(context)
    with session.gateway() as gateway:
        text = gateway.script(gateway.resolve(job_id))
    if session.json:
        session.answer({"script": text})
    else:
        sys.stdout.write(plain(text))


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(submit)
    app.command("watch")(watch_job)
    for command in (logs, events, manifest, script):
        app.command()(command)
