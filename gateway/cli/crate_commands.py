"""The command ``crate``, and what ``rerun --from-crate`` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.exits import Exit, job_exit
from gateway.cli.job_commands import JobId
from gateway.cli.output_commands import Store as OneStore
from gateway.cli.session import Session, note, session_of
from gateway.cli.story import verdict
from gateway.cli.text import line, size
from gateway.cli.watching import transfer, watch
from gateway.client import crates
from gateway.client.uploads import Sent
from gateway.model.crate import CratePlan

SHOWN = 20


def crate(
    context: typer.Context,
    job_id: JobId,
    to: Annotated[Path | None, typer.Option(help="Write the crate with all outputs to this zip file.")] = None,
    store: OneStore = None,
) -> None:
    """Print a job's RO-Crate (its metadata, as JSON), or write all of it to a zip file."""
    session = session_of(context)
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        if to is None:
            session.answer(gateway.crate(whole, store))
            return
        with transfer(quiet=session.json) as shown:
            gateway.run(crates.download(whole, to, store), lambda got: shown.show(to.name, got, got + 1))
    if session.json:
        session.answer({"file": str(to.absolute()), "bytes": to.stat().st_size})
    else:
        note(f"{to}  {size(to.stat().st_size)}")


def run_crate(session: Session, place: str, wanted: crates.Wish, *, dry_run: bool, wait: bool) -> int:
    """Run again what a crate holds, telling first what will be done."""
    with session.gateway() as gateway:
        if dry_run:
            plan = gateway.run(crates.plan(place, wanted))
            session.answer(plan) if session.json else _tell(plan)
            return Exit.REFUSED if plan.missing else Exit.DONE
        with transfer(quiet=session.json) as shown:

            def see(value: object) -> None:
                if isinstance(value, Sent):
                    shown.sent(value)
                elif isinstance(value, CratePlan) and not session.json:
                    _tell(value)

            job = gateway.run(crates.rerun(place, wanted), see)
        if not session.json:
            print(job.id, flush=True)
            note(f"{job.state} on {line(job.target)}; watch it with: gateway watch {job.id[:8]}")
        if wait:
            job = watch(gateway, job.id, quiet=session.json)
    if session.json:
        session.answer(job)
    elif wait:
        note(verdict(job))
    return job_exit(job) if wait else Exit.DONE


def _tell(plan: CratePlan) -> None:
    run = plan.run
    what = f"the case {line(run.case or '')}" if plan.how == "case" else "what was carried out"
    note(
        f"runs {what} again, of job {run.job[:8]} ({line(run.name)})"
        + (f", on {line(plan.target)}" if plan.target else "")
    )
    if run.image is not None:
        note(f"  image: {line(run.image.ref)} {line(run.image.digest or '(without a digest)')}")
    for text in _few([f"{line(name)} = {_shown(value)}" for name, value in run.values.items()]):
        note(f"  value: {text}")
    for text in _few([f"{line(item.path)} {line(item.digest or item.source)}" for item in run.inputs]):
        note(f"  input: {text}")
    for item in plan.needed:
        whence = "from the crate" if item.kept else "NOT in the crate: give it with --file"
        note(f"  to upload: {line(item.path)} {line(item.digest)} ({whence})")
    for text in plan.notes:
        note(f"  note: {line(text)}")
    for text in plan.missing:
        note(f"  missing: {line(text)}")


def _few(texts: list[str]) -> list[str]:
    return texts if len(texts) <= SHOWN else [*texts[:SHOWN], f"… and {len(texts) - SHOWN} more"]


def _shown(value: Any) -> str:
    return line(", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value))[:80]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(crate)
