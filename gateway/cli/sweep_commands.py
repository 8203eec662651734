"""The commands ``sweep …``: many jobs from one specification."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.assignments import grid_of, parameters_of, typed
from gateway.cli.exits import Exit, UsageMistake
from gateway.cli.job_commands import Case, File, Set, Store, Target, add_values, folder_of, specification
from gateway.cli.list_commands import show_jobs
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import ago, line, moment
from gateway.client import Gateway, SweepHandle
from gateway.client.handles import told_counts
from gateway.model.case import ParameterInfo
from gateway.model.sweep import Sweep, SweepState

sweep_app = typer.Typer(help="Submit many jobs from one specification, and see what came of them.")
SweepId = Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's id, a unique beginning of one, or @last.")]


@sweep_app.command()
def submit(
    context: typer.Context,
    file: File = None,
    case: Case = None,
    values: Set = None,
    grid: Annotated[
        list[str] | None, typer.Option(metavar="NAME=V,V…", help="All combinations of these; may be repeated.")
    ] = None,
    table: Annotated[Path | None, typer.Option(metavar="CSV", help="A job for each row; the heads are names.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many may be queued or running at once.")] = None,
    target: Target = None,
    store: Store = None,
    name: Annotated[str | None, typer.Option(help="Call the sweep so.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same request gives the same sweep.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; status 10 unless all succeeded.")] = False,
) -> int:
    """Submit a sweep, and print its id. NAME is a parameter of the case, or a place such as /env/RE."""
    if (grid is None) == (table is None):
        raise UsageMistake("a sweep needs --grid or --table", hint="such as: --grid reynolds=100,200,400")
    if file is None and case is None:
        raise UsageMistake("Missing argument 'FILE' or option '--case'", hint="see: gateway sweep submit --help")
    session = session_of(context)
    body = specification(file, {"case": case, "target": target, "stores": store})
    with session.gateway() as gateway:
        add_values(gateway, body, values)
        parameters = parameters_of(gateway, body.get("case"), body.get("case_version"))
        made = gateway.sweep(
            body,
            grid=grid_of(grid, parameters) if grid else None,
            table=_table(table, parameters) if table else None,
            name=name,
            limit=limit,
            idempotency_key=key,
            folder=folder_of(file),
        )
        return _submitted(session, made, wait=wait)


def _submitted(session: Session, made: SweepHandle, *, wait: bool) -> int:
    if not session.json:
        print(made.id, flush=True)
        note(f"{told_counts(made.info)}; see: gateway sweep show {made.id[:8]}")
    if wait:
        made.wait(progress=not session.json)
    if session.json:
        session.answer(made.info)
    return _exit(made.info) if wait else Exit.DONE


def _exit(sweep: Sweep) -> Exit:
    return Exit.DONE if sweep.state is SweepState.SUCCEEDED else Exit.JOB_FAILED


def _table(file: Path, parameters: dict[str, ParameterInfo]) -> list[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise UsageMistake(f"{file} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageMistake(f"{file} is not CSV: {error}") from None
    if not rows:
        raise UsageMistake(f"{file} has no rows below its heads")
    for at, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise UsageMistake(f"{file}: line {at} has not as many cells as there are heads")
    return [{name: _cell(name, text, parameters) for name, text in row.items()} for row in rows]


def _cell(name: str, text: str, parameters: dict[str, ParameterInfo]) -> Any:
    return text if name.startswith(("/env/", "/command/")) else typed(text, parameters.get(name))


@sweep_app.command("list")
def list_sweeps(
    context: typer.Context, limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50
) -> None:
    """List sweeps, newest first."""
    session = session_of(context)
    with session.gateway() as gateway:
        found = [sweep.info for sweep in gateway.sweeps(limit=limit)]
    if session.json:
        session.answer({"items": found, "next_cursor": None})
    elif not found:
        note("no sweeps; submit one with: gateway sweep submit")
    else:
        heads = ("ID", "STATE", "NAME", "TARGET", "CREATED", "JOBS")
        session.table(
            heads, ((s.id[:8], str(s.state), s.name, s.target, ago(s.created_at), told_counts(s)) for s in found)
        )


@sweep_app.command()
def show(context: typer.Context, sweep_id: SweepId) -> None:
    """Show a sweep and its jobs."""
    session = session_of(context)
    with session.gateway() as gateway:
        made = gateway.sweep_of(sweep_id)
        if session.json:
            session.answer(made.info)
            return
        _show(made.info)
        print()
        show_jobs(session, [job.info for job in made.jobs(limit=200, sort="sweep_index")], filtered=True)


def _show(sweep: Sweep) -> None:
    facts = (
        ("id", sweep.id),
        ("name", sweep.name),
        ("state", str(sweep.state)),
        ("jobs", told_counts(sweep)),
        ("case", sweep.case),
        ("target", sweep.target),
        ("parameters", ", ".join(sweep.parameters)),
        ("at once", sweep.limit),
        ("rerun of", sweep.rerun_of),
        ("created", moment(sweep.created_at)),
    )
    for name, value in facts:
        if value not in (None, ""):
            print(f"{name:<13} {line(str(value))}")


@sweep_app.command()
def wait(context: typer.Context, sweep_id: SweepId) -> int:
    """Wait until all jobs of a sweep have ended; status 10 unless all succeeded."""
    session = session_of(context)
    with session.gateway() as gateway:
        made = gateway.sweep_of(sweep_id).wait(progress=not session.json)
    _answer(session, made.info)
    return _exit(made.info)


@sweep_app.command()
def cancel(context: typer.Context, sweep_id: SweepId) -> None:
    """End all jobs of a sweep; what they have written is kept."""
    session = session_of(context)
    with session.gateway() as gateway:
        _answer(session, gateway.sweep_of(sweep_id).cancel().info)


def _answer(session: Session, sweep: Sweep) -> None:
    if session.json:
        session.answer(sweep)
    else:
        note(f"{sweep.id[:8]}: {sweep.state}; {told_counts(sweep)}")


@sweep_app.command()
def rerun(
    context: typer.Context,
    sweep_id: SweepId,
    failed: Annotated[bool, typer.Option("--failed", help="Only what did not succeed.")] = False,
    wait_for: Annotated[bool, typer.Option("--wait", help="Wait for the end; status 10 unless all succeeded.")] = False,
) -> int:
    """Run a sweep again, and print the new one's id."""
    session = session_of(context)
    with session.gateway() as gateway:
        return _submitted(session, gateway.sweep_of(sweep_id).rerun(failed=failed), wait=wait_for)


@sweep_app.command()
def delete(context: typer.Context, sweep_id: SweepId) -> None:
    """Forget a sweep."""
    session = session_of(context)
    with session.gateway() as gateway:
        made = gateway.sweep_of(sweep_id)
        made.delete()
    if session.json:
        session.answer({"id": made.id, "done": True, "problem": None})
    else:
        note(f"{made.id[:8]}: forgotten")


@sweep_app.command()
def table(context: typer.Context, sweep_id: SweepId) -> None:
    """Print values and results of a sweep's jobs as CSV."""
    session = session_of(context)
    with session.gateway() as gateway:
        rows = _found(gateway, sweep_id)
    if session.json:
        session.answer({"items": rows, "next_cursor": None})
        return
    writer = csv.DictWriter(sys.stdout, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: line(v) if isinstance(v, str) else v for key, v in row.items()} for row in rows)


def _found(gateway: Gateway, sweep_id: str) -> list[dict[str, Any]]:
    return gateway.sweep_of(sweep_id).table()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(sweep_app, name="sweep")
