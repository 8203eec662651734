"""The command ``outputs``: what a job left, and fetching it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.job_commands import JobId
from gateway.cli.output_tree import render, walk
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import line, number_of, size
from gateway.client import Gateway
from gateway.errors import NotFound


def outputs(
    context: typer.Context,
    job_id: JobId,
    prefix: Annotated[str, typer.Argument(help="Only what begins so: a folder with its / or a file.")] = "",
    store: Annotated[str | None, typer.Option(help="In this store instead of the job's first.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Unfold every folder.")] = False,
    get: Annotated[bool, typer.Option("--get", help="Fetch them.")] = False,
    to: Annotated[Path | None, typer.Option(help="Fetch into this folder (default: the job's id, here).")] = None,
) -> None:
    """Show a job's outputs as a tree, or fetch them."""
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        if get or to is not None:
            _fetch(session, gateway, whole, prefix, store, to or Path(whole[:8]))
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


def _fetch(session: Session, gateway: Gateway, job_id: str, prefix: str, store: str | None, folder: Path) -> None:
    page = gateway.outputs(job_id, prefix, delimiter="", store=store)
    if not page.files:
        raise NotFound(f"no outputs begin with {prefix!r}" if prefix else "the job has no outputs")
    places = []
    for file in page.files:
        places.append(gateway.download(file, folder))
        if not session.json:
            note(f"{line(file.path)}  {size(file.size)}{'' if file.state == 'final' else '  (partial)'}")
    if session.json:
        session.answer({"folder": str(folder.absolute()), "files": [str(place) for place in places]})
    else:
        note(f"{number_of(len(places), 'file')} in {folder}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(outputs)
