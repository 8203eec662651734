"""Images of cases: built once, kept by digest, found again. A stand-in builds; one test lets a real process do it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.db import built_images
from gateway.db.database import Database
from gateway.errors import ImageError, MissingProgram
from gateway.images.build import BuiltImage
from gateway.images.building import build_beside
from gateway.images.published import PublishedImages

RECIPE = "name: tool\nsuite: bookworm\npackages: [python3]\nfiles: [{source: tool.py, destination: /tool.py}]\n"


class StandIn:
    """Builds an image whose bytes are the recipe's; can be held up, and can fail."""

    def __init__(self) -> None:
        self.built = 0
        self.problem: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, recipe: Path, folder: Path, on_progress: Callable[[str], None]) -> BuiltImage:
        on_progress("downloading packages")
        await self.go.wait()
        if self.problem:
            raise self.problem
        self.built += 1
        folder.mkdir(exist_ok=True)
        body = recipe.read_bytes() + (recipe.parents[1] / "tool.py").read_bytes()
        file = folder / "work.sqfs"
        file.unlink(missing_ok=True)
        file.write_bytes(body)
        return BuiltImage(file, f"sha256:{hashlib.sha256(body).hexdigest()}", len(body))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    case = tmp_path / "case"
    (case / "image").mkdir(parents=True)
    (case / "tool.py").write_text("print(1)\n")
    file = case / "image/recipe.yaml"
    file.write_text(RECIPE)
    return file


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/gateway.db")
    await asyncio.to_thread(made.migrate)
    yield made
    made.close()


async def test_an_image_is_built_once_kept_by_digest_and_recorded(
    tmp_path: Path, recipe: Path, database: Database
) -> None:
    builder = StandIn()
    images = PublishedImages(tmp_path / "built", database, builder=builder)
    assert (images.state(recipe), images.find(recipe)) == ("not_built", None)

    image = await images.build(recipe)

    assert await images.build(recipe) == image == images.find(recipe)
    assert (builder.built, images.state(recipe)) == (1, "built")
    assert image.file.name == image.digest.removeprefix("sha256:") + ".sqfs"
    assert hashlib.sha256(image.file.read_bytes()).hexdigest() in image.digest
    assert (image.name, image.ref, image.size) == ("tool", "built:tool", image.file.stat().st_size)
    by_digest = images.by_digest(image.digest)
    assert by_digest is not None
    assert (by_digest.file, by_digest.size) == (image.file, image.size)
    (row,) = await database.read(built_images.all_of)
    assert (row["digest"], row["name"], row["file"]) == (image.digest, "tool", image.file.name)
    assert row["recipe"] == images.recipe_digest(recipe)
    assert PublishedImages(tmp_path / "built").find(recipe) == image


async def test_a_changed_file_of_the_recipe_needs_another_image_and_the_old_one_stays(
    tmp_path: Path, recipe: Path
) -> None:
    images = PublishedImages(tmp_path / "built", builder=StandIn())
    first = await images.build(recipe)

    (recipe.parents[1] / "tool.py").write_text("print(2)\n")

    assert images.state(recipe) == "not_built"
    second = await images.build(recipe)
    assert first.digest != second.digest
    assert images.by_digest(first.digest) is not None


async def test_all_who_ask_at_once_share_one_build_also_across_processes(tmp_path: Path, recipe: Path) -> None:
    builder = StandIn()
    builder.go.clear()
    ours, others = (PublishedImages(tmp_path / "built", builder=builder) for _ in range(2))
    said: list[str] = []
    asked = [asyncio.create_task(images.build(recipe, said.append)) for images in (ours, ours, others)]
    async with asyncio.timeout(10):
        while "waiting for another build of the same image" not in said:
            await asyncio.sleep(0.01)
    assert (ours.state(recipe), others.state(recipe)) == ("building", "building")
    assert PublishedImages(tmp_path / "built").state(recipe) == "building"
    assert ours.message(recipe) == "downloading packages"

    builder.go.set()

    first, *rest = await asyncio.gather(*asked)
    assert rest == [first, first]
    assert builder.built == 1


async def test_a_build_begun_in_the_background_says_why_it_failed_and_can_be_begun_again(
    tmp_path: Path, recipe: Path
) -> None:
    builder = StandIn()
    builder.problem = MissingProgram("mksquashfs is missing.", hint="apt-get install squashfs-tools")
    images = PublishedImages(tmp_path / "built", builder=builder)

    async def ended() -> str:
        async with asyncio.timeout(10):
            while (state := images.state(recipe)) == "building":
                await asyncio.sleep(0.01)
        return state

    assert images.begin_build(recipe) == images.begin_build(recipe) == "building"
    assert await ended() == "not_built"
    assert images.message(recipe) == "mksquashfs is missing. (apt-get install squashfs-tools)"

    builder.problem = None
    images.begin_build(recipe)
    assert await ended() == "built"
    assert images.message(recipe) is None
    assert images.begin_build(recipe) == "built"


async def test_closing_stops_a_build_and_gives_its_lock_back(tmp_path: Path, recipe: Path) -> None:
    builder = StandIn()
    builder.go.clear()
    images = PublishedImages(tmp_path / "built", builder=builder)
    images.begin_build(recipe)
    async with asyncio.timeout(10):
        while images.message(recipe) != "downloading packages":
            await asyncio.sleep(0.01)
    waiting = asyncio.create_task(images.build(recipe))
    await asyncio.sleep(0)

    await images.close()

    with pytest.raises(ImageError, match="stopped"):
        await waiting
    assert PublishedImages(tmp_path / "built").state(recipe) == "not_built"


async def test_a_file_that_is_gone_or_cut_off_counts_as_not_built(tmp_path: Path, recipe: Path) -> None:
    images = PublishedImages(tmp_path / "built", builder=StandIn())
    image = await images.build(recipe)
    os.truncate(image.file, 3)
    assert images.find(recipe) is None
    image.file.unlink()
    assert images.state(recipe) == "not_built"
    assert images.by_digest(image.digest) is None

    assert await images.build(recipe) == image


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "sha256:", "x", "sha256:" + "A" * 64])
def test_what_is_no_digest_is_no_image(tmp_path: Path, digest: str) -> None:
    assert PublishedImages(tmp_path).by_digest(digest) is None


async def test_a_wrong_recipe_is_named(tmp_path: Path, recipe: Path) -> None:
    recipe.write_text("name: [\n")
    with pytest.raises(ImageError, match="is not YAML"):
        await PublishedImages(tmp_path / "built").build(recipe)


async def test_a_process_of_its_own_tells_its_progress_and_its_failure(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any program on its path the build finds out at once what is missing."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(MissingProgram, match="Building an image needs mmdebstrap and mksquashfs") as caught:
        await build_beside(recipe, tmp_path / "built", lambda _sentence: None)
    assert caught.value.hint is not None
    assert "apt-get install" in caught.value.hint


async def test_a_stopped_build_leaves_no_process(tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mmdebstrap", "mksquashfs"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/{name}.pid\nexec sleep 60\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    said: list[str] = []
    build = asyncio.create_task(build_beside(recipe, tmp_path / "built", said.append))
    async with asyncio.timeout(20):
        while not (said and all((tmp_path / f"{name}.pid").exists() for name in ("mmdebstrap", "mksquashfs"))):
            await asyncio.sleep(0.02)

    build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await build

    for name in ("mmdebstrap", "mksquashfs"):
        assert not Path(f"/proc/{(tmp_path / f'{name}.pid').read_text().strip()}").exists()
    assert not list((tmp_path / "built").glob(".*.building"))
    assert said[0].startswith("building the image tool")
