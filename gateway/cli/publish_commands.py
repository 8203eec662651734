"""The commands ``images publish`` and ``images mirror``: bringing images to mirrors, and where they are."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.catalogue_commands import images_app
from gateway.cli.exits import Exit, UsageMistake
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import ago, line, number_of, size
from gateway.cli.watching import transfer
from gateway.client import Gateway, image_publications, images
from gateway.errors import ImageError
from gateway.images.entry import HASH, ImageEntry, Mirror, Pieces
from gateway.images.measure import measure_file
from gateway.images.obtaining import FOLDER, LocalCopies
from gateway.images.unpacked import UnpackedImage, publish_unpacked
from gateway.model.image import ImageInfo
from gateway.model.image_mirrors import PlannedPublication, Publication
from gateway.settings import Settings
from gateway.urls import UrlOpener

Images = Annotated[list[str] | None, typer.Argument(metavar="[IMAGE...]", help="Names, digests or ids.")]
Mirrors = Annotated[list[str] | None, typer.Option("--mirror", help="Only this mirror; may be given again.")]


@images_app.command()
def publish(
    context: typer.Context,
    names: Images = None,
    mirror: Mirrors = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is done.")] = False,
    from_file: Annotated[
        Path | None, typer.Option("--from", help="The one image's file, on the gateway's machine.")
    ] = None,
    unpacked: Annotated[
        Path | None, typer.Option(help="Publish them unpacked below this folder of this machine instead.")
    ] = None,
) -> int:
    """Bring images to the mirrors that have them not, all live ones by default. For administrators."""
    session = session_of(context)
    if (from_file or unpacked) and not names:
        raise UsageMistake("--from and --unpacked need the names of images")
    with session.gateway() as gateway:
        if unpacked is not None:
            return _unpack(session, gateway, names or [], unpacked)
        if dry_run:
            return _plan(session, gateway, names or [], mirror or [])
        if from_file is not None:
            _lay(session, gateway, names or [], from_file)
        begun = gateway.run(image_publications.publish(names or (), mirror or ()))
        if no_wait:
            if session.json:
                session.answer(begun)
            note(f"{number_of(begun.publications, 'publication')} begun; see: gateway images mirror")
            return Exit.DONE
        found = _wait(session, gateway, names or [], mirror or [])
    return _answer(session, found)


def _plan(session: Session, gateway: Gateway, names: list[str], mirrors: list[str]) -> int:
    found: list[PlannedPublication] = []

    def on(planned: PlannedPublication) -> None:
        found.append(planned)
        if not session.json:
            source = f" from {planned.source}" if planned.source else ""
            detail = f": {planned.detail}" if planned.detail else ""
            print(line(f"{planned.image} to {planned.mirror}: {planned.action}{source}{detail}"), flush=True)

    gateway.run(image_publications.plan(names, mirrors), on)
    if session.json:
        session.answer({"items": found})
    return Exit.DONE


def _lay(session: Session, gateway: Gateway, names: list[str], file: Path) -> None:
    """Put an image's file where the gateway takes it from; it must be the image."""
    if len(names) != 1:
        raise UsageMistake("--from is the file of one image: name that one")
    info = gateway.run(images.find(names[0]))
    with transfer(quiet=session.json) as bars:
        total = file.stat().st_size
        measured = measure_file(file, lambda done: bars.show(file.name, done, total))
    if measured.digest != info.digest:
        what = f"{info.name} has the digest {info.digest}, {file} has {measured.digest}"
        raise ImageError(what if info.digest else f"nobody read {info.name} yet: its digest is not known")
    with copies_of(session.settings(), FOLDER) as copies:
        part = copies.part(measured.digest)
        part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = part.with_suffix(".laid")
        shutil.copyfile(file, draft)
        draft.replace(part)


def _wait(session: Session, gateway: Gateway, names: list[str], mirrors: list[str]) -> list[Publication]:
    """Wait until all of them are there or have failed, and show what is on its way."""
    with transfer(quiet=session.json) as bars:

        def on(found: list[Publication]) -> None:
            for one in found:
                if one.size and one.bytes:
                    done = one.size if one.state in ("published", "failed") else min(one.bytes, one.size - 1)
                    bars.show(f"{one.image} to {one.mirror}", done, one.size)

        return gateway.run(image_publications.wait(names, mirrors), on)


def _answer(session: Session, found: list[Publication]) -> int:
    failed = [one for one in found if one.state == "failed"]
    if session.json:
        session.answer({"items": found})
    else:
        _show(session, found)
    if failed:
        what = f"{len(failed)} of {number_of(len(found), 'publication')} failed"
        raise ImageError(
            what, hint="what failed is tried again some times by itself; see: gateway images mirror --failed"
        )
    return Exit.DONE


@images_app.command("mirror")
def show_mirrors(
    context: typer.Context,
    names: Images = None,
    mirror: Annotated[str | None, typer.Option("--mirror", help="Only in this mirror.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed.")] = False,
) -> None:
    """Show the mirrors; with images, --mirror or --failed: which image is in which mirror. For administrators."""
    session = session_of(context)
    with session.gateway() as gateway:
        if not names and mirror is None and not failed:
            _show_all(session, gateway)
            return
        found = gateway.run(image_publications.publications(names or (), mirror, ("failed",) if failed else ()))
    if session.json:
        session.answer({"items": found})
        return
    _show(session, found)
    if not found:
        note("nothing was published like that; publish with: gateway images publish")


def _show_all(session: Session, gateway: Gateway) -> None:
    found = gateway.run(image_publications.mirrors())
    if session.json:
        session.answer({"items": found})
        return
    heads = ("MIRROR", "REGION", "PUBLISHED", "UNDER WAY", "FAILED", "ADDRESS")
    session.table(
        heads,
        (
            (one.name, one.region or "", str(one.published), str(one.wanted + one.working), str(one.failed), one.url)
            for one in found
        ),
    )
    if not found:
        note("no mirror is configured that images could be published to: see [[image_mirrors]]")


def _show(session: Session, found: list[Publication]) -> None:
    heads = ("IMAGE", "MIRROR", "STATE", "PUBLISHED", "CHECKED", "ADDRESS OR PROBLEM")
    rows = (
        (one.image, one.mirror, one.state, ago(one.published_at), ago(one.checked_at), one.problem or one.url or "")
        for one in found
    )
    session.table(heads, rows)


# --- unpacked


def _unpack(session: Session, gateway: Gateway, names: list[str], folder: Path) -> int:
    """Publish images unpacked on this machine: from their mirrors, or the gateway's own files."""
    entries = [entry_of(gateway.run(images.find(name, pieces=True))) for name in names]
    made: list[dict[str, Any]] = []
    with copies_of(session.settings(), "unpacked-copies") as copies:
        for entry in entries:
            found = asyncio.run(_unpack_one(session, copies, entry, folder.absolute()))
            made.append(
                {
                    "image": entry.name,
                    "folder": str(found.folder),
                    "checksums": str(found.checksums),
                    "link": str(found.link) if found.link else None,
                    "files": found.files,
                    "bytes": found.bytes,
                }
            )
            if not session.json:
                where = found.link or found.folder
                print(line(f"{entry.name}: {where}, {number_of(found.files, 'file')}, {size(found.bytes)}"))
    if session.json:
        session.answer({"items": made})
    return Exit.DONE


async def _unpack_one(session: Session, copies: LocalCopies, entry: ImageEntry, folder: Path) -> UnpackedImage:
    with transfer(quiet=session.json) as bars:

        def told(done: int) -> None:
            bars.show(entry.name, done, entry.size or 0)

        async with copies.held(entry, told) as file:
            if not session.json:
                note(f"{entry.name}: unpacking")
            return await publish_unpacked(entry, file, folder)


@contextlib.contextmanager
def copies_of(settings: Settings, folder: str) -> Iterator[LocalCopies]:
    """Bring image files to this machine, for as long as they are read."""
    opener = UrlOpener(settings.gateway.allow_urls)
    try:
        yield LocalCopies(settings.gateway.data_folder / folder, opener)
    finally:
        opener.close()


def entry_of(info: ImageInfo) -> ImageEntry:
    """Return an image as the API tells it; raises `ImageError` where nobody read it yet."""
    if info.digest is None or info.size is None:
        raise ImageError(
            f"nobody read {info.name} yet: its digest is not known", hint=f"gateway images check --full {info.name}"
        )
    hashes = b"".join(bytes.fromhex(text) for text in info.pieces or ())
    pieces = Pieces(hashes, info.piece_size) if hashes and info.piece_size else None
    if pieces is not None and (len(hashes) % HASH or not pieces.fits(info.size)):
        pieces = None
    return ImageEntry(
        id=info.id,
        digest=info.digest,
        names=tuple(info.names),
        size=info.size,
        media_type=info.media_type,
        pieces=pieces,
        sources=tuple(info.sources),
        mirrors=tuple(Mirror(one.url, one.region, one.state) for one in info.mirrors),
        categories=tuple(info.categories),
        commands=tuple(info.commands),
        created_at=info.created_at,
        summary=info.summary,
    )


def register(app: typer.Typer) -> None:
    """Do nothing: these stand with the other commands about images."""
