"""The commands ``outputs find``, ``outputs verify`` and ``outputs reconcile``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gateway.cli.exits import Exit
from gateway.cli.job_commands import JobId
from gateway.cli.list_commands import OfCase, OfOwner, OfTarget, State, WithTag
from gateway.cli.output_commands import Store, outputs_app
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import line, moment, number_of, size
from gateway.cli.watching import transfer
from gateway.client import Gateway
from gateway.client.output_calls import cancel_verification
from gateway.errors import GatewayError
from gateway.model.base import parse_memory
from gateway.model.job import OutputFile
from gateway.model.verification import Repair, Verdict, Verification

SHOWN = 200
OfJob = Annotated[str | None, typer.Option("--job", metavar="ID", help="Only in this job.")]
OfType = Annotated[str | None, typer.Option("--type", help="Only of this content type; image/* for all of a kind.")]


def _bytes(text: str) -> int:
    try:
        return int(parse_memory(int(text) if text.isdigit() else text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


MinSize = Annotated[int | None, typer.Option(parser=_bytes, metavar="SIZE", help="Of so many bytes at least: 10M.")]


@outputs_app.command()
def find(
    context: typer.Context,
    pattern: Annotated[str | None, typer.Argument(help="Paths that fit, such as '**/*.vtk'.")] = None,
    job: OfJob = None,
    case: OfCase = None,
    tag: WithTag = None,
    state: State = None,
    target: OfTarget = None,
    owner: OfOwner = None,
    content_type: OfType = None,
    min_size: MinSize = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Changed then or later (2026-01-31 …).")] = None,
    store: Store = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
) -> None:
    """Find outputs, in one job or across jobs, those of the newest job first."""
    session = session_of(context)
    filters = {
        "content_type": content_type, "min_size": min_size, "modified_after": since, "store": store,
        "case": case, "tag": tag, "state": state, "target": target, "owner": owner,
    }  # fmt: skip
    found: list[OutputFile] = []
    with session.gateway() as gateway:
        whole = gateway.resolve(job) if job is not None else None
        for file in gateway.find_outputs(pattern or "**", job_id=whole, limit=limit, **filters):
            found.append(file)
            if not session.json:
                when = moment(file.modified_at)
                print(f"{size(file.size):>9}  {when:<19}  {line(file.state):<7}  {line(file.name)}", flush=True)
    if session.json:
        session.answer({"items": found, "next_cursor": None})
    elif not found:
        note("no outputs like that")


@outputs_app.command()
def verify(
    context: typer.Context,
    job_id: JobId,
    store: Store = None,
    sample: Annotated[int | None, typer.Option(min=0, help="Read so many files, chosen by chance.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where an earlier one was broken off.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Show the last one; verify nothing.")] = False,
) -> int:
    """Compare what stands in the stores with what was signed: signature, listing, every byte; status 11 if it differs.

    All stores of the job that have outputs, or one.
    """
    session = session_of(context)
    found: list[Verification] = []
    with session.gateway() as gateway:
        whole = gateway.resolve(job_id)
        for name in [store] if store is not None else _stores(gateway, whole):
            one = gateway.verification(whole, name) if last else _verified(session, gateway, whole, name, sample, fresh)
            found.append(one)
            if not session.json:
                _show(one)
    if session.json:
        session.answer({"items": found, "next_cursor": None})
    good = all(one.verdict in (Verdict.VERIFIED, Verdict.SAMPLED) for one in found)
    return Exit.DONE if good else Exit.DIFFERENT


def _stores(gateway: Gateway, job_id: str) -> list[str]:
    """Return the stores that have something of a job; its first one where none has."""
    job = gateway.job(job_id).info
    return [name for name, kept in job.outputs.stores.items() if kept.count] or job.stores[:1]


def _verified(
    session: Session, gateway: Gateway, job_id: str, store: str | None, sample: int | None, fresh: bool
) -> Verification:
    try:
        with transfer(quiet=session.json) as shown:
            return gateway.verify_outputs(
                job_id,
                store=store,
                sample=sample,
                fresh=fresh,
                on_progress=lambda now: shown.show("read again", now.bytes_checked, now.bytes),
            )
    except KeyboardInterrupt:
        try:
            gateway.run(cancel_verification(job_id, store))
            note("cancelled; the same command goes on where it stopped")
        except GatewayError as error:
            note(f"it may go on in the gateway: {line(str(error))}")
        raise


def _show(found: Verification) -> None:
    for item in found.findings[:SHOWN]:
        print(f"{line(item.result):<10}  {line(item.path)}  ({line(item.detail)})")
    if (more := len(found.findings) - SHOWN) > 0:
        note(f"… and {more} more; all with --json")
    words = [str(found.verdict or found.state), f"{number_of(found.files_checked, 'file')} read again"]
    words += [f"{number} {word}" for word, number in found.counts.items()]
    words += [f"{found.kept} kept that the job removed later"] if found.kept else []
    words += [f"{found.retired} removed by retention since"] if found.retired else []
    print(f"{line(found.store)}: {', '.join(words)}")
    signed = {"good": f"signed with {found.key}, {found.completeness}"}.get(found.signature or "", found.signature)
    print(f"manifest: {line(signed or 'not read')}")
    if found.problem:
        print(line(found.problem))


@outputs_app.command()
def reconcile(
    context: typer.Context,
    store: Store = None,
    job: OfJob = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what differs; change nothing.")] = False,
) -> None:
    """Read stores and put right what the catalogue says of them (administrators): all stores, or one."""
    session = session_of(context)
    lines: list[Repair] = []
    with session.gateway() as gateway:
        whole = job if job is None or len(job) == 36 else gateway.resolve(job)
        for name in [store] if store is not None else [item.name for item in gateway.stores()]:
            for told in gateway.reconcile(name, job_id=whole, dry_run=dry_run):
                if told.kind == "progress":
                    if not session.json and sys.stderr.isatty():
                        note(f"{line(name)}: {number_of(told.objects, 'object')} listed")
                    continue
                lines.append(told)
                if not session.json:
                    _tell(told, dry_run=dry_run)
    if session.json:
        session.answer({"items": lines, "next_cursor": None})


def _tell(told: Repair, *, dry_run: bool) -> None:
    changes = [f"{told.added} added", f"{told.removed} removed", f"{told.changed} changed"]
    changes += ["totals counted anew"] if told.totals else []
    detail = [line(told.detail)] if told.detail else []
    would = "would be " if dry_run else ""
    if told.kind == "done":
        words = [f"{number_of(told.objects, 'object')}, {number_of(told.jobs, 'job')} compared", *changes, *detail]
        print(f"{line(told.store)}: {would and 'dry run, '}{', '.join(words)}")
    elif told.kind in ("job", "adopted"):
        what = f"{would}adopted, " if told.kind == "adopted" else would
        print(f"{line(told.job_id or '')}: {what}{', '.join(changes)}")
        for path in told.paths:
            print(f"  {line(path)}")
    else:
        print(f"{line(told.folder or '')}: {told.kind}: {', '.join(detail)}")


def register(app: typer.Typer) -> None:
    """Nothing to add: the commands stand among those of ``outputs``."""
