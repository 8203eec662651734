"""The command ``data``: the data series of a job, as text."""

from __future__ import annotations

import csv
import sys
from typing import Annotated, Any

import typer

from gateway.cli.job_commands import JobId
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import line
from gateway.client import Gateway, calls


def data(
    context: typer.Context,
    job_id: JobId,
    series: Annotated[
        str | None, typer.Argument(help="One of the job's data series; without it they are listed.")
    ] = None,
    follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Begin behind so many rows.")] = 0,
) -> None:
    """List the data series of a job, or print one as CSV (with --json: one JSON document for each piece)."""
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        if series is None:
            _list(session, gateway, whole)
        else:
            _rows(session, gateway, whole, series, after, follow=follow_it)


def _list(session: Session, gateway: Gateway, job_id: str) -> None:
    found = gateway.run(calls.series(job_id))
    if session.json:
        session.answer({"items": found, "next_cursor": None})
    elif not found:
        note("the job has no data series")
    else:
        heads = ("NAME", "LABEL", "ROWS", "FILE", "COLUMNS")
        session.table(
            heads,
            (
                (
                    one.name,
                    one.label or "",
                    "-" if one.rows is None else str(one.rows),
                    one.file or "",
                    ", ".join(column.name + (f" [{column.unit}]" if column.unit else "") for column in one.columns),
                )
                for one in found
            ),
        )


def _rows(session: Session, gateway: Gateway, job_id: str, series: str, after: int, *, follow: bool) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    headed = False
    for page in gateway.follow_series(job_id, series, after, follow=follow):
        if session.json:
            session.line(page)
            continue
        if page.reset and headed:
            note("the series began anew")
        if not headed or page.reset:
            headed = True
            writer.writerow([line(column.name) for column in page.columns])
        writer.writerows([_cell(value) for value in row] for row in page.rows)
        sys.stdout.flush()


def _cell(value: Any) -> Any:
    return line(value) if isinstance(value, str) else value


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(data)
