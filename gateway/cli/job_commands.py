"""The commands about jobs."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from gateway.cli.exits import Exit, UsageMistake, job_exit
from gateway.cli.session import note, session_of
from gateway.cli.specification_file import read_specification
from gateway.cli.story import describe, follow, verdict
from gateway.cli.text import PlainStream, ago, line, moment, number_of, plain, size
from gateway.client import Gateway
from gateway.errors import Conflict
from gateway.model.job import Job
from gateway.model.states import ENDED

STREAMS = ("stdout", "stderr", "pull", "sync")
JobId = Annotated[str, typer.Argument(metavar="ID", help="A job's id, a unique beginning of one, or @last.")]


def submit(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="JSON, TOML or YAML; - for JSON on standard input.")],
    target: Annotated[str | None, typer.Option(help="Run it there instead.")] = None,
    name: Annotated[str | None, typer.Option(help="Call it so instead.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; status 10 unless it succeeded.")] = False,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same request gives the same job.")] = None,
) -> int:
    """Submit a job, and print its id."""
    session = session_of(context)
    body = read_specification(file)
    body |= {field: value for field, value in (("target", target), ("name", name)) if value is not None}
    with session.gateway() as gateway:
        job = gateway.submit(body, idempotency_key=key)
        if not session.json:
            print(job.id, flush=True)
            note(f"{job.state} on {line(job.target)}; watch it with: gateway watch {job.id[:8]}")
        if wait:
            job = _watch(gateway, job.id, quiet=session.json)
        if session.json:
            session.answer(job)
        elif wait:
            note(verdict(job))
        return job_exit(job) if wait else Exit.DONE


def jobs(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only these states, separated by commas.")] = None,
    target: Annotated[str | None, typer.Option(help="Only those of this target.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag, as NAME:VALUE.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List jobs, newest first."""
    session = session_of(context)
    filters = {k: v for k, v in (("state", state), ("target", target), ("tag", tag)) if v}
    with session.gateway() as gateway:
        found = list(gateway.jobs(limit=limit, **filters))
    if session.json:
        session.answer({"items": found})
    elif not found:
        note("no jobs" + (" like that" if filters else "; submit one with: gateway submit FILE"))
    else:
        heads = ("ID", "STATE", "NAME", "TARGET", "CREATED", "OUTPUTS")
        session.table(heads, (_row(job) for job in found))


def _row(job: Job) -> tuple[str, ...]:
    state = str(job.state) + (f" ({job.reason})" if job.reason else "")
    if job.state == "unknown" and job.last_state:
        state = f"unknown, was {job.last_state} {ago(job.observed_at)}"
    outputs = f"{job.outputs.state} {number_of(job.outputs.count, 'file')} {size(job.outputs.bytes)}"
    return job.id[:8], state, job.name, job.target, ago(job.created_at), outputs


def show(context: typer.Context, job_id: JobId) -> None:
    """Show a job."""
    session = session_of(context)
    with session.gateway() as gateway:
        job = gateway.job(gateway.resolve(job_id))
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
        ("exit code", job.exit_code),
        ("owner", job.owner),
        ("target", job.target),
        ("scheduler id", job.scheduler_id),
        ("attempt", job.attempt),
        ("image", image.get("ref")),
        ("command", " ".join(spec.get("command") or ())[:300]),
        ("tags", ", ".join(f"{key}:{value}" for key, value in job.tags.items())),
        ("created", moment(job.created_at)),
        ("queued", moment(job.queued_at)),
        ("started", moment(job.started_at)),
        ("ended", moment(job.ended_at)),
        ("seen", moment(job.observed_at) if job.state not in ENDED else None),
    ]
    for store, kept in job.outputs.stores.items():
        what = f"{kept.state}, {number_of(kept.count, 'file')}, {size(kept.bytes)}"
        facts.append((f"in {store}", what))
    return facts


def cancel(
    context: typer.Context,
    job_id: JobId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end.")] = False,
) -> None:
    """End a job; what it has written is kept."""
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        try:
            job = gateway.cancel(whole)
        except Conflict as error:
            raise Conflict(error.message, hint=f"see: gateway show {whole[:8]}") from None
        if wait:
            job = gateway.wait(whole)
    if session.json:
        session.answer(job)
    else:
        note(verdict(job) if job.state in ENDED else f"{whole[:8]}: cancel requested")


def watch(context: typer.Context, job_id: JobId) -> int:
    """Tell what happens to a job until it has ended; status 10 unless it succeeded."""
    session = session_of(context)
    with session.gateway() as gateway:
        job = _watch(gateway, gateway.resolve(job_id), quiet=session.json)
    if session.json:
        session.answer(job)
    else:
        print(verdict(job))
    return job_exit(job)


def _watch(gateway: Gateway, job_id: str, *, quiet: bool) -> Job:
    try:
        for event in follow(gateway, job_id):
            text = describe(event)
            if text and not quiet:
                note(f"{event.at.astimezone():%H:%M:%S}  {text}")
    except KeyboardInterrupt:
        note(f"the job goes on; end it with: gateway cancel {job_id[:8]}")
        raise
    return gateway.job(job_id)


def logs(
    context: typer.Context,
    job_id: JobId,
    stream: Annotated[str, typer.Option(help=f"One of {', '.join(STREAMS)}.")] = "stdout",
    follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, help="Begin so many bytes before the end.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The bytes as they are, terminal escapes too.")] = False,
) -> None:
    """Print a log."""
    if stream not in STREAMS:
        raise UsageMistake(f"there is no log {stream!r}", hint=f"one of {', '.join(STREAMS)}")
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        text = PlainStream()
        offset = 0 if tail is None else -tail
        parts = gateway.follow_log(whole, stream, offset) if follow_it else _whole_log(gateway, whole, stream, offset)
        for part in parts:
            if raw:
                sys.stdout.buffer.write(part)
                sys.stdout.buffer.flush()
            else:
                sys.stdout.write(text.feed(part))
                sys.stdout.flush()
        if not raw:
            sys.stdout.write(text.feed(b"", final=True))


def _whole_log(gateway: Gateway, job_id: str, stream: str, offset: int) -> Any:
    while True:
        part, offset = gateway.log(job_id, stream, offset)
        if not part:
            return
        yield part


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
    for command in (submit, jobs, show, watch, logs, cancel, manifest, script):
        app.command()(command)
