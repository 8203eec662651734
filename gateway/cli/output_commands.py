"""The commands ``outputs …``: what a job left, and fetching it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.groups import group_with_default
from gateway.cli.job_commands import JobId
from gateway.cli.output_tree import render, walk
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import line, moment, number_of, size
from gateway.cli.watching import transfer
from gateway.client import Gateway, calls, retention
from gateway.client.tree import matches
from gateway.errors import NotFound
from gateway.model.job import OutputFile

outputs_app = group_with_default("tree", "Show a job's outputs, and fetch them.", alone=False)

Prefix = Annotated[str, typer.Argument(help="Only what begins so: a folder with its / or a file.")]
Store = Annotated[str | None, typer.Option(help="In this store instead of the job's first.")]
To = Annotated[Path | None, typer.Option(help="Fetch into this folder (default: the job's id, here).")]
Pattern = Annotated[str | None, typer.Option(help="Only paths that fit, such as 'VTK/**/*.vtk'.")]


@outputs_app.command()
def tree(
    context: typer.Context,
    job_id: JobId,
    prefix: Prefix = "",
    store: Store = None,
    everything: Annotated[bool, typer.Option("--all", help="Unfold every folder.")] = False,
    get: Annotated[bool, typer.Option("--get", hidden=True)] = False,
    to: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Show a job's outputs as a tree."""
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        if get or to is not None:  # before there was `outputs get`
            _fetch(session, gateway, gateway.outputs(whole, prefix, delimiter="", store=store).files, to or whole[:8])
            return
        if session.json:
            session.answer(gateway.outputs(whole, prefix, delimiter="" if everything else "/", store=store))
            return
        rows = walk(lambda level: gateway.outputs(whole, level, store=store), prefix, None if everything else 200)
        shown = 0
        for text in render(rows):
            print(text)
            shown += 1
        if not shown:
            note(f"no outputs{f' below {line(prefix)}' if prefix else ''} yet")


@outputs_app.command("ls")
def list_files(
    context: typer.Context, job_id: JobId, prefix: Prefix = "", store: Store = None, pattern: Pattern = None
) -> None:
    """List outputs, one line each: size, time, state, path."""
    session = session_of(context)
    with session.gateway() as gateway:
        files = _chosen(gateway, gateway.resolve(job_id), prefix, store, pattern)
    if session.json:
        session.answer({"items": files, "next_cursor": None})
        return
    for file in files:
        print(f"{size(file.size):>9}  {moment(file.modified_at):<19}  {line(_state(file)):<9}  {line(file.path)}")
    if not files:
        note("no outputs like that" if prefix or pattern else "no outputs yet")


def _state(file: OutputFile) -> str:
    if file.archived:
        return "restoring" if file.restoring else "archived"
    return file.state


@outputs_app.command("get")
def get_files(
    context: typer.Context,
    job_id: JobId,
    prefix: Prefix = "",
    store: Store = None,
    pattern: Pattern = None,
    to: To = None,
) -> None:
    """Fetch outputs, going on where an earlier try stopped; every digest is checked."""
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        files = _chosen(gateway, whole, prefix, store, pattern)
        if not files and (prefix or pattern):
            raise NotFound(f"no outputs are like {prefix or pattern!r}")
        _fetch(session, gateway, files, to or whole[:8])


@outputs_app.command()
def restore(
    context: typer.Context,
    job_id: JobId,
    patterns: Annotated[list[str] | None, typer.Argument(help="Only these, such as 'VTK/**'; all by default.")] = None,
    store: Store = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Sooner, where the store can; it costs more.")] = False,
) -> None:
    """Bring archived outputs back, which takes the store hours: 'gateway retention show' tells how far it is."""
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        found = gateway.run(retention.restore(whole, patterns or (), store, urgent=urgent))
    if session.json:
        session.answer(found)
        return
    note(f"asked for; {number_of(found.archived, 'output')} archived, {found.restoring} on the way back")
    note(f"see: gateway retention show {whole[:8]}")


def _chosen(gateway: Gateway, job_id: str, prefix: str, store: str | None, pattern: str | None) -> list[OutputFile]:
    if pattern is None:
        return gateway.outputs(job_id, prefix, delimiter="", store=store).files
    if not prefix:
        return gateway.run(calls.matching(job_id, pattern, store))
    return [
        file for file in gateway.outputs(job_id, prefix, delimiter="", store=store).files if matches(pattern, file.path)
    ]


def _fetch(session: Session, gateway: Gateway, files: Iterable[OutputFile], to: Path | str) -> None:
    folder, places = Path(to), []
    chosen = list(files)
    if not chosen:
        raise NotFound("there are no such outputs")
    with transfer(quiet=session.json) as shown:
        for file in chosen:
            places.append(gateway.download(file, folder, lambda got, file=file: shown.show(file.path, got, file.size)))  # type: ignore[misc]
            if not session.json:
                note(f"{line(file.path)}  {size(file.size)}{'' if file.state == 'final' else '  (partial)'}")
    if session.json:
        session.answer({"folder": str(folder.absolute()), "files": [str(place) for place in places]})
    else:
        note(f"{number_of(len(places), 'file')} in {folder}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(outputs_app, name="outputs")
