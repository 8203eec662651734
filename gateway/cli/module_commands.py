"""The commands ``images modules`` and ``images scan``: images as tools for people on a cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.catalogue_commands import images_app
from gateway.cli.exits import Exit, UsageMistake
from gateway.cli.publish_commands import copies_of, entry_of
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import line, number_of
from gateway.cli.watching import transfer
from gateway.client import Gateway, images
from gateway.errors import GatewayError, ImageError
from gateway.images.entry import ImageEntry
from gateway.images.modules import MEMBERS, Place, write_modules
from gateway.images.tools import commands_of
from gateway.model.image import ImageSummary

Names = Annotated[list[str] | None, typer.Argument(metavar="[IMAGE...]", help="Names, digests or ids; all live ones.")]


@images_app.command()
def modules(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Write them below this folder, which can be copied to the cluster.")],
    names: Names = None,
    target: Annotated[str | None, typer.Option(help="For the people on this target.")] = None,
    cache: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where images are kept there, instead of the target's own.")
    ] = None,
) -> int:
    """Write Lmod modules with the commands of images, for people on a cluster; status 5 where one has none."""
    session = session_of(context)
    place = _place(session, target, cache)
    with session.gateway() as gateway:
        live: list[ImageSummary] = []
        if not names:
            gateway.run(images.images(filters={"live": "true"}), live.append)
        keys = names or [item.id for item in live if item.digest and item.size]
        entries = [entry_of(gateway.run(images.find(key, pieces=True))) for key in keys]
    made: list[Path] = []
    problems: list[ImageError] = []
    for entry in entries:
        try:
            made += write_modules(entry, place, out.absolute())
        except ImageError as error:
            problems.append(error)
    if session.json:
        items = [{"module": f"{file.parent.name}/{file.stem}", "file": str(file)} for file in made]
        session.answer({"items": items, "problems": [problem.message for problem in problems]})
    else:
        for problem in problems:
            note(line(problem.message) + (f" ({line(problem.hint)})" if problem.hint else ""))
        print(f"{number_of(len(made), 'module')} in {out.absolute() / 'modulefiles'}")
        note(f"people use them after: module use {line(str(out.absolute() / 'modulefiles'))}")
    return Exit.REFUSED if problems else Exit.DONE


def _place(session: Session, target: str | None, cache: str | None) -> Place:
    """Return what the configuration says of a target."""
    settings = session.settings()
    name = target or settings.default_target
    if name is None or name not in settings.targets:
        known = ", ".join(sorted(settings.targets)) or "none"
        raise UsageMistake(f"--target must be one of the configuration's ({known})")
    section = settings.targets[name]
    runtime = section.runtime
    folder = cache or section.image_cache
    user = str(section.transport.get("username", ""))
    folder = folder.replace("{username}", user).replace("{data}", str(settings.gateway.data_folder))
    if not folder.startswith(("/", "~/")):
        raise UsageMistake(f"the folder of images must be absolute, not {folder!r}", hint="give --cache FOLDER")
    kind = str(runtime.get("kind", "auto"))
    if kind not in (*MEMBERS, "auto"):
        raise UsageMistake(f"modules need one of {', '.join(MEMBERS)}, and {name} has {kind}")
    binds = tuple(dict.fromkeys([*runtime.get("binds", ()), *runtime.get("bind_roots", ())]))
    return Place(folder, binds, MEMBERS if kind == "auto" else (kind,))


@images_app.command()
def scan(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Names, digests or ids.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show them.")] = False,
) -> int:
    """Read which commands images export, and keep that in the catalogue. For administrators."""
    session = session_of(context)
    found: dict[str, tuple[str, ...]] = {}
    with session.gateway() as gateway, copies_of(session.settings(), "scanned-copies") as copies:
        for name in names:
            entry = entry_of(gateway.run(images.find(name, pieces=True)))

            async def read(entry: ImageEntry = entry) -> tuple[str, ...]:
                with transfer(quiet=session.json) as bars:
                    async with copies.held(entry, lambda done: bars.show(entry.name, done, entry.size or 0)) as file:
                        return await commands_of(file)

            found[entry.name] = asyncio.run(read())
            _keep(session, gateway, entry, found[entry.name], dry_run=dry_run)
    if session.json:
        session.answer({"items": [{"image": name, "commands": list(commands)} for name, commands in found.items()]})
    return Exit.DONE


def _keep(session: Session, gateway: Gateway, entry: ImageEntry, commands: tuple[str, ...], *, dry_run: bool) -> None:
    if not commands:
        raise GatewayError(f"{entry.name} declares no commands, and has none where images have their own")
    if not dry_run:
        gateway.run(images.change(entry.id, {"commands": list(commands)}))
    if not session.json:
        print(f"{line(entry.name)}: {number_of(len(commands), 'command')}: {line(' '.join(commands[:20]))}")


def register(app: typer.Typer) -> None:
    """Do nothing: the commands stand with the others about images."""
