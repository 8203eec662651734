"""The commands about the images of cases, and the image pull for sites that use it without a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from pathlib import Path
from typing import Annotated

import typer

from gateway import templates
from gateway.cases.catalogue import Catalogue
from gateway.cli.case_commands import cases_app
from gateway.cli.catalogue_commands import images_app
from gateway.cli.exits import Exit
from gateway.cli.session import Session, note, session_of
from gateway.cli.text import line, size
from gateway.db.database import Database
from gateway.images.published import PublishedImage, PublishedImages


@cases_app.command("build")
def cases_build(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Published cases.")],
) -> int:
    """Build the image of cases from their recipes, once and without root rights; jobs can use it from then on.

    It is kept in the gateway's data folder, whether a gateway runs or not: run this as the account of the gateway.
    """
    session = session_of(context)
    settings = session.settings()
    catalogue = Catalogue(settings.gateway.cases)
    recipes = {name: catalogue.recipe(catalogue.find(name)) for name in dict.fromkeys(names)}
    data = settings.gateway.data_folder
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.closing(Database(settings.gateway.expand(settings.gateway.database))) as database:
        database.migrate()
        images = PublishedImages(data / "built-images", database)
        built = asyncio.run(_build(images, recipes))
    _answer(session, built)
    return Exit.DONE


async def _build(images: PublishedImages, recipes: dict[str, Path | None]) -> dict[str, PublishedImage | None]:
    try:
        return {
            name: await images.build(recipe, lambda sentence, name=name: note(f"{name}: {line(sentence)}"))  # type: ignore[misc]
            if recipe
            else None
            for name, recipe in recipes.items()
        }
    finally:
        await images.close()


def _answer(session: Session, built: dict[str, PublishedImage | None]) -> None:
    if session.json:
        items = [
            {"case": name, "name": image.name, "digest": image.digest, "size": image.size, "file": str(image.file)}
            if image
            else {"case": name, "name": None, "digest": None, "size": None, "file": None}
            for name, image in built.items()
        ]
        session.answer({"items": items})
        return
    for name, image in built.items():
        print(f"{name}: {image.digest}, {size(image.size)}" if image else f"{name}: its image is not built here")


@images_app.command()
def puller(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")] = None,
) -> int:
    """Print the image pull as one bash file, for a site's prologue or its own scripts: docs/pull.md."""
    session = session_of(context)
    text = templates.puller()
    if output is not None:
        output.write_text(text, encoding="utf-8")
        output.chmod(0o755)
    if session.json:
        digest = hashlib.sha256(text.encode()).hexdigest()
        session.answer({"file": str(output) if output else None, "digest": f"sha256:{digest}", "text": text})
    elif output is None:
        print(text, end="")
    return Exit.DONE


def register(app: typer.Typer) -> None:
    """Do nothing: they stand with the other commands about cases and images."""
