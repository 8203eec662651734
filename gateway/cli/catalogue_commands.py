"""The commands ``images …``: the catalogue of images that jobs can name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.exits import Exit, UsageMistake
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import ago, line, number_of, size
from gateway.cli.watching import transfer, watch
from gateway.client import Gateway, images
from gateway.errors import ImageError
from gateway.images.measure import measure_file
from gateway.model.base import parse_memory
from gateway.model.image import ImageInfo, ImageMirror, ImageSummary

images_app = typer.Typer(help="The catalogue of images.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="IMAGE", help="A name (fsl/6.0.3), a digest or an id.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until the gateway is done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Without asking.")]


def _bytes(text: str) -> int:
    try:
        return int(parse_memory(int(text) if text.isdigit() else text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@images_app.command("list")
def list_images(
    context: typer.Context,
    q: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="Part of a name, summary or category.")] = None,
    category: Annotated[str | None, typer.Option(help="Only of this category.")] = None,
    retired: Annotated[bool, typer.Option("--retired", help="Those that are retired.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many.")] = None,
) -> None:
    """Show the images that jobs can name."""
    session = session_of(context)
    filters = {"live": "false" if retired else "true"}
    filters |= {name: value for name, value in (("q", q), ("category", category)) if value}
    found: list[ImageSummary] = []
    with session.gateway() as gateway:
        gateway.run(images.images(limit, filters), found.append)
    if session.json:
        session.answer({"items": found, "next_cursor": None})
        return
    heads = ("IMAGE", "SIZE", "MIRRORS", "DIGEST", "CATEGORIES", "USED", "")
    session.table(heads, map(_row, found))
    if not found:
        note("no images like that")


def _row(image: ImageSummary) -> tuple[str, ...]:
    return (
        image.name,
        size(image.size) if image.size is not None else "",
        f"{image.mirrors_alive} of {image.mirrors_known} alive",
        image.digest[:19] if image.digest else "not read yet",
        ", ".join(image.categories),
        ago(image.used_at) if image.used_at else "",
        " ".join(word for word, is_so in (("pinned", image.pinned), ("retired", not image.live)) if is_so),
    )


@images_app.command()
def show(context: typer.Context, image: Name) -> None:
    """Show an image: where it is to be had, and how its mirrors were last found."""
    session = session_of(context)
    with session.gateway() as gateway:
        _say(session, gateway.run(images.find(image)))


@images_app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="tool/version, such as fsl/6.0.3.")],
    places: Annotated[list[str] | None, typer.Argument(metavar="[URL...]", help="Mirrors, preferred first.")] = None,
    file: Annotated[Path | None, typer.Option(help="The same image here: it is measured, not sent.")] = None,
    alias: Annotated[list[str] | None, typer.Option(help="A further name; may be given again.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="What it can be made from: docker://…")] = None,
    category: Annotated[list[str] | None, typer.Option(help="May be given again.")] = None,
    region: Annotated[str | None, typer.Option(help="Where its mirrors are.")] = None,
    summary: Annotated[str, typer.Option(help="What it is.")] = "",
    pin: Annotated[bool, typer.Option("--pin", help="Never remove it by a clean-up.")] = False,
    no_wait: NoWait = False,
) -> int:
    """Take an image into the catalogue; the gateway reads it once, unless --file tells all. For administrators."""
    session = session_of(context)
    body: dict[str, Any] = {
        "names": [name, *(alias or ())],
        "mirrors": [{"url": url, "region": region} for url in places or ()],
        "sources": source or [],
        "categories": category or [],
        "summary": summary,
        "pinned": pin,
    }
    if file is not None:
        body |= _measured(session, file)
    with session.gateway() as gateway:
        made = gateway.run(images.add(body))
        found = made if no_wait else _wait(session, gateway, made, name)
    _say(session, found)
    return _status(found)


def _measured(session: Session, file: Path) -> dict[str, Any]:
    with transfer(quiet=session.json) as bars:
        total = file.stat().st_size
        try:
            found = measure_file(file, lambda done: bars.show(file.name, done, total))
        except ImageError as error:
            raise UsageMistake(error.message) from None
    return {
        "digest": found.digest,
        "size": found.size,
        "media_type": found.media_type,
        "pieces": list(found.pieces),
    }


def _wait(session: Session, gateway: Gateway, made: ImageInfo, name: str) -> ImageInfo:
    """Wait until nothing is under way, by a name: what is read may turn out to be in the catalogue already."""
    with transfer(quiet=session.json) as bars:

        def on(seen: ImageInfo) -> None:
            if seen.work is not None and seen.work.total:
                bars.show(seen.name, seen.work.bytes, seen.work.total)

        return gateway.run(images.wait(name), on) if made.work is not None else made


@images_app.command()
def check(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[IMAGE...]", help="All live ones by default.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read the whole file, too, and learn what it is.")] = False,
    no_wait: NoWait = False,
) -> int:
    """Check mirrors by reading parts of the images. For administrators."""
    session = session_of(context)
    with session.gateway() as gateway:
        listed: list[ImageSummary] = []
        if not names:
            gateway.run(images.images(), listed.append)
        found = []
        for name in names or [image.name for image in listed]:
            begun = gateway.run(images.check(name, full=full))
            seen = begun if no_wait else _wait(session, gateway, begun, name)
            found.append(seen)
            if not session.json:
                _say_mirrors(seen)
    if session.json:
        session.answer({"items": found})
    return max(map(_status, found), default=Exit.DONE)


def _status(image: ImageInfo) -> int:
    if image.work is not None and image.work.state in ("failed", "interrupted"):
        problem = image.work.problem or "it was interrupted"
        raise ImageError(f"{image.name}: {problem}", hint=f"try again: gateway images check --full {image.name}")
    return Exit.DONE


@images_app.command()
def pin(
    context: typer.Context,
    image: Name,
    off: Annotated[bool, typer.Option("--off", help="Take the pin away.")] = False,
) -> None:
    """Keep an image in the catalogue whatever a clean-up says. For administrators."""
    _change(context, image, pinned=not off)


@images_app.command()
def retire(
    context: typer.Context,
    image: Name,
    back: Annotated[bool, typer.Option("--back", help="Offer it again.")] = False,
) -> None:
    """Offer an image no more; jobs that name it still run. For administrators."""
    _change(context, image, live=back)


def _change(context: typer.Context, image: str, **changes: Any) -> None:
    session = session_of(context)
    with session.gateway() as gateway:
        _say(session, gateway.run(images.change(image, changes)))


@images_app.command("import")
def import_list(
    context: typer.Context,
    place: Annotated[str, typer.Argument(metavar="FILE|URL", help="Neurodesk's apps.json.")],
    mirror: Annotated[
        list[str] | None,
        typer.Option(help="[REGION=]https://…/{file}: where the images are; may be given again. Default: Neurodesk's."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken over.")] = False,
) -> None:
    """Take over Neurodesk's list of containers. For administrators."""
    session = session_of(context)
    body: dict[str, Any] = {"mirrors": [_pattern(text) for text in mirror or ()], "dry_run": dry_run}
    body |= {"url": place} if place.startswith(("https://", "http://")) else {"document": _document(Path(place))}
    with session.gateway() as gateway:
        report = gateway.run(images.import_list(body))
    if session.json:
        session.answer(report)
        return
    for problem in report.problems:
        note(line(f"left out: {problem.entry}: {problem.detail}"))
    words = "would be " if dry_run else ""
    print(
        f"{number_of(len(report.added), 'image')} {words}added, {len(report.changed)} {words}changed, "
        f"{report.unchanged} as they were, {number_of(len(report.problems), 'problem')}"
    )


def _pattern(text: str) -> dict[str, str]:
    region, equals, pattern = text.partition("=")
    return {"region": region, "pattern": pattern} if equals and "/" not in region else {"pattern": text}


def _document(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (ValueError, RecursionError):
        raise UsageMistake(f"{file} is not JSON") from None


@images_app.command()
def prefetch(
    context: typer.Context,
    image: Name,
    target: Annotated[str | None, typer.Option(help="Where to; the default target by default.")] = None,
    no_wait: NoWait = False,
) -> int:
    """Bring an image to a target before jobs need it: by a small job that pulls it and does nothing else."""
    session = session_of(context)
    with session.gateway() as gateway:
        job = gateway.run(images.prefetch(image, target))
        if not session.json:
            print(job.id, flush=True)
        if not no_wait:
            job = watch(gateway, job.id, quiet=session.json)
    if session.json:
        session.answer(job)
    return Exit.DONE if job.state == "succeeded" or no_wait else Exit.JOB_FAILED


@images_app.command()
def gc(
    context: typer.Context,
    target: Annotated[str | None, typer.Option(help="Make room in this target's cache instead.")] = None,
    limit: Annotated[
        int | None, typer.Option(parser=_bytes, metavar="SIZE", help="With --target: so much may stay (500G).")
    ] = None,
    unused_days: Annotated[float, typer.Option(min=0, help="That no job asked for in so many days.")] = 90,
    run: Annotated[bool, typer.Option("--run", help="Remove them; else they are only shown.")] = False,
    yes: Yes = False,
) -> None:
    """Show, or remove, images that are retired, not pinned and unused. Files of mirrors stay. For administrators."""
    session = session_of(context)
    if target is not None:
        _make_room(session, target, limit)
        return
    if limit is not None:
        raise UsageMistake("--limit goes with --target")
    with session.gateway() as gateway:
        found = gateway.run(images.clean(unused_days))
        if run and found.items:
            if not yes and not sys.stdin.isatty():
                raise UsageMistake("nobody can be asked here", hint="look without --run, then add --yes")
            if not yes and not typer.confirm(f"Remove {number_of(len(found.items), 'image')}?", err=True):
                raise typer.Abort
            found = gateway.run(images.clean(unused_days, dry_run=False))
    if session.json:
        session.answer(found)
        return
    session.table(("IMAGE", "SIZE", "MIRRORS", "DIGEST", "CATEGORIES", "USED", ""), map(_row, found.items))
    if found.dry_run:
        note(f"{number_of(len(found.items), 'image')}: remove with: gateway images gc --run")
    else:
        note(f"{number_of(len(found.items), 'image')} removed")


def _make_room(session: Session, target: str, limit: int | None) -> None:
    with session.gateway() as gateway:
        found = gateway.run(images.make_room(target, limit))
    if session.json:
        session.answer(found)
        return
    rows = ((item.name or item.key[:12], size(item.bytes), item.kept or "removed") for item in found.items)
    session.table(("IMAGE", "SIZE", ""), rows)
    note(f"{size(found.left)} are left in the image cache of {target}; the limit is {size(found.limit)}")


def _say(session: Session, image: ImageInfo) -> None:
    if session.json:
        session.answer(image)
        return
    print(line(f"{image.name}  {image.summary}"))
    rows = (
        ("also", ", ".join(name for name in image.names if name != image.name)),
        ("digest", image.digest or "not read yet"),
        ("size", size(image.size) if image.size is not None else ""),
        ("kind", image.media_type or ""),
        ("architecture", image.architecture or ""),
        ("manifest", image.manifest_digest or ""),
        ("categories", ", ".join(image.categories)),
        ("commands", ", ".join(image.commands[:20]) + (" …" if len(image.commands) > 20 else "")),
        ("sources", ", ".join(image.sources)),
        ("state", " ".join(word for word, so in (("pinned", image.pinned), ("retired", not image.live)) if so)),
    )
    for head, text in rows:
        if text:
            print(f"  {head:<13}{line(text)}")
    _say_mirrors(image)
    if image.work is not None and image.work.state == "running":
        note(f"{image.work.kind}: {size(image.work.bytes)} so far; see: gateway images show {image.name}")


def _say_mirrors(image: ImageInfo) -> None:
    for mirror in image.mirrors:
        print(line(f"  {image.name}  {mirror.state:<8} {_rate(mirror):>12}  {mirror.url}"))
        if mirror.problem:
            print(line(f"    {mirror.problem}"))


def _rate(mirror: ImageMirror) -> str:
    return f"{size(mirror.rate_bytes_per_s)}/s" if mirror.rate_bytes_per_s is not None else ""


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(images_app, name="images")
