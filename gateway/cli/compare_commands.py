"""The commands ``outputs compare`` and ``reproduce``: whether two runs left the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from gateway.cli.exits import Exit, job_exit
from gateway.cli.job_commands import JobId, Store, Target
from gateway.cli.output_commands import Store as OneStore
from gateway.cli.output_commands import outputs_app
from gateway.cli.session import Session, note, session_of
from gateway.cli.story import verdict
from gateway.cli.text import line, number_of, size
from gateway.cli.watching import watch
from gateway.client import Gateway
from gateway.client.comparing import check_ended
from gateway.model.comparison import Comparison, FileComparison
from gateway.model.states import State

SHOWN = 200
WORDS = {
    "same": "same",
    "close": "close enough",
    "different": "different",
    "unknown": "cannot be said",
    "only_first": "only in the first",
    "only_second": "only in the second",
}
Rtol = Annotated[float | None, typer.Option(min=0, help="Numbers in text may differ by so much of the larger one.")]
Atol = Annotated[float | None, typer.Option(min=0, help="Numbers in text may differ by so much.")]
Ignore = Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Leave out outputs like 'log.*'.")]
Whole = Annotated[bool, typer.Option("--all", help="Show what is the same, too.")]


@outputs_app.command()
def compare(
    context: typer.Context,
    first: JobId,
    second: Annotated[str, typer.Argument(metavar="OTHER", help="Another job's id.")],
    rtol: Rtol = None,
    atol: Atol = None,
    ignore: Ignore = None,
    prefix: Annotated[str, typer.Option(help="Only what begins so.")] = "",
    store: OneStore = None,
    everything: Whole = False,
) -> int:
    """Compare the outputs of two jobs; status 11 where they differ."""
    session = session_of(context)
    with session.gateway() as gateway:
        ids = gateway.resolve(first), gateway.resolve(second)
        for job_id in ids:
            check_ended(gateway.job(job_id).info)
        found = gateway.compare(
            *ids, rtol=rtol, atol=atol, ignore=ignore or (), prefix=prefix, store=store, on_file=_progress(session)
        )
    if session.json:
        session.answer(found)
    else:
        _show(session, found, everything=everything)
    return Exit.DONE if found.alike else Exit.DIFFERENT


def reproduce(
    context: typer.Context,
    job_id: JobId,
    target: Target = None,
    store: Store = None,
    rtol: Rtol = None,
    atol: Atol = None,
    ignore: Ignore = None,
    everything: Whole = False,
) -> int:
    """Run a job again, and compare what both left; status 11 where it differs, 10 where the new run fails."""
    session = session_of(context)
    with session.gateway() as gateway:
        old = gateway.job(gateway.resolve(job_id)).info
        check_ended(old)
        changes = {name: value for name, value in (("target", target), ("stores", store)) if value}
        new = gateway.rerun(old.id, changes).info
        if not session.json:
            note(f"{new.id} runs {old.id[:8]} again on {line(new.target)}")
        ended = watch(gateway, new.id, quiet=session.json)
        if ended.state is not State.SUCCEEDED and ended.state != old.state:
            return _failed(session, gateway, ended.id)
        found = gateway.compare(old.id, new.id, rtol=rtol, atol=atol, ignore=ignore or (), on_file=_progress(session))
    if session.json:
        session.answer({"job": ended, "comparison": found})
    else:
        _show(session, found, everything=everything)
    return Exit.DONE if found.alike else Exit.DIFFERENT


def _failed(session: Session, gateway: Gateway, job_id: str) -> int:
    job = gateway.job(job_id).info
    if session.json:
        session.answer({"job": job, "comparison": None})
    else:
        note(verdict(job))
        note("nothing was compared")
    return job_exit(job)


def _progress(session: Session) -> Callable[[FileComparison], object]:
    def tell(item: FileComparison) -> None:
        if not session.json and item.deviation is not None:
            note(f"compared the numbers of {line(item.path)}")

    return tell


def _show(session: Session, found: Comparison, *, everything: bool) -> None:
    rows = [item for item in found.files if everything or item.status != "same"]
    if rows:
        session.table(("OUTPUT", "RESULT", "SIZES", "DETAIL"), map(_row, rows[:SHOWN]))
    if len(rows) > SHOWN:
        note(f"… and {len(rows) - SHOWN} more: see them with --json")
    told = ", ".join(f"{number_of(count, 'file')} {WORDS[status]}" for status, count in found.counts.items())
    ignored = f"; {number_of(found.ignored, 'file')} left out" if found.ignored else ""
    print(f"{'alike' if found.alike else 'NOT alike'}: {told or 'no outputs'}{ignored}")


def _row(item: FileComparison) -> tuple[str, str, str, str]:
    one, other = (("-" if count is None else size(count)) for count in item.sizes)
    detail = item.detail or ""
    if item.deviation is not None and not item.detail:
        detail = f"numbers differ by {item.deviation:.2g} at most"
    return item.path, WORDS[item.status], one if one == other else f"{one}, {other}", detail


def register(app: typer.Typer) -> None:
    """Add the commands; `outputs compare` is in its group already."""
    app.command()(reproduce)
