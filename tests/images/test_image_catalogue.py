"""The catalogue of images: read once, named, merged, imported, and cleaned up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from catalogued import described, image_bytes, settled

from gateway.db import images as table
from gateway.db.database import Database
from gateway.db.images import ImageFilter
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.images.catalogue import ImageCatalogue
from gateway.images.rows import load
from gateway.model.image import CleanOrder, ImageChanges, ImportOrder, NewImage
from gateway.urls import UrlOpener
from testbed.mirror import Fault, Mirror
from tests.databases import lay_database


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[ImageCatalogue]:
    lay_database(tmp_path)
    database = Database(f"sqlite:///{tmp_path}/gateway.db")
    urls = UrlOpener(["127.0.0.1"])
    found = ImageCatalogue(database, urls)
    yield found
    await found.close()
    urls.close()
    database.close()


def _new(name: str, *urls: str, **more: Any) -> NewImage:
    return NewImage.model_validate({"names": [name], "mirrors": urls, **more})


async def _names(catalogue: ImageCatalogue, **wanted: Any) -> list[str]:
    items, _ = await catalogue.page(ImageFilter(**wanted), None, 100)
    return [item.name for item in items]


async def test_an_image_is_read_once_and_then_known_by_its_digest_with_the_hashes_of_its_pieces(
    catalogue: ImageCatalogue,
) -> None:
    content = image_bytes()
    with Mirror() as mirror:
        url = mirror.serve("/fsl.sqfs", content)
        added = await catalogue.add(_new("fsl/6.0.3", url, categories=["imaging"]))
        assert added.digest is None
        found = await settled(catalogue, added.id)
        assert mirror.bytes_sent("/fsl.sqfs") == len(content)
    expected = described(content)
    assert found.work is not None
    assert (found.work.state, found.work.bytes, found.work.total) == ("done", len(content), len(content))
    for key in ("fsl/6.0.3", expected["digest"], found.id):
        shown = await catalogue.show(key, pieces=True)
        assert {name: getattr(shown, name) for name in expected} == expected
    assert (found.mirrors[0].state, found.mirrors_alive) == ("alive", 1)


async def test_what_cannot_be_read_says_why_of_each_mirror_and_the_first_good_one_counts(
    catalogue: ImageCatalogue,
) -> None:
    content = image_bytes()
    with Mirror() as mirror:
        gone = mirror.serve("/gone", content, Fault(status=404))
        page = mirror.serve("/page", b"<!DOCTYPE html><p>" + b"x" * 200)
        short = mirror.serve("/short", content, Fault(truncate=70_000))
        good = mirror.serve("/good", content)
        failed = await catalogue.add(_new("a/1", gone, page, short))
        found = await settled(catalogue, failed.id)
        assert found.digest is None
        assert found.work is not None
        assert found.work.state == "failed"
        problem = found.work.problem or ""
        for words in ("404", "a web page", "ended too early"):
            assert words in problem
        assert [m.state for m in found.mirrors] == ["dead", "wrong", "dead"]
        found = await settled(catalogue, (await catalogue.add(_new("b/1", gone, page, good))).id)
    assert found.digest == described(content)["digest"]
    assert [m.state for m in found.mirrors] == ["dead", "wrong", "alive"]


async def test_the_same_file_under_another_name_becomes_one_image_with_both_names_and_all_mirrors(
    catalogue: ImageCatalogue,
) -> None:
    content = image_bytes(size=5000)
    with Mirror() as mirror:
        first, second = mirror.serve("/1", content), mirror.serve("/2", content)
        await settled(catalogue, (await catalogue.add(_new("a/1", first))).id)
        await settled(catalogue, "a/1")
        again = await catalogue.add(_new("b/2", second))
        one = await settled(catalogue, "b/2")
    assert one.names == ["a/1", "b/2"]
    assert {m.url for m in one.mirrors} == {first, second}
    with pytest.raises(NotFound):
        await catalogue.show(again.id)


async def test_who_says_what_the_file_is_is_believed_and_nothing_is_read(catalogue: ImageCatalogue) -> None:
    content = image_bytes()
    with Mirror() as mirror:
        found = await catalogue.add(_new("fsl/6.0.3", mirror.serve("/x", content), **described(content)))
        assert (found.piece_count, found.work) == (3, None)
        assert mirror.begun("/x") == 0
    with pytest.raises(Conflict, match=r"in the catalogue already, as fsl/6\.0\.3"):
        await catalogue.add(_new("other/1", "https://example.org/x", **described(content)))
    with pytest.raises(Conflict, match="the name of another image"):
        await catalogue.add(_new("fsl/6.0.3", "https://example.org/x", **described(image_bytes(2))))


async def test_mirrors_must_be_addresses_that_the_gateway_may_reach(catalogue: ImageCatalogue) -> None:
    with pytest.raises(InvalidRequest, match="mirrors/1/url"):
        await catalogue.add(_new("a/1", "https://example.org/x", "http://169.254.169.254/x"))


async def test_names_mirrors_and_pins_change_and_what_is_known_of_a_mirror_stays(catalogue: ImageCatalogue) -> None:
    first, second = "https://one.example/x", "https://two.example/x"
    made = await catalogue.add(_new("a/1", first, **described(image_bytes(size=5000))))
    await catalogue.database.write(lambda c: table.note_mirror(c, made.id, first, state="alive"))
    changes = {"names": ["a/2"], "mirrors": [{"url": second, "region": "eu"}, first], "pinned": True}
    found = await catalogue.change("a/1", ImageChanges.model_validate(changes))
    assert [(m.url, m.region, m.state) for m in found.mirrors] == [(second, "eu", "unknown"), (first, None, "alive")]
    assert (found.names, found.pinned) == (["a/2"], True)
    with pytest.raises(NotFound):
        await catalogue.show("a/1")


async def test_a_list_is_in_the_order_of_names_searched_and_paged(catalogue: ImageCatalogue) -> None:
    for number, name in enumerate(("b/1", "a/2", "c/1", "a/10")):
        summary = "100% of it_all" if name == "c/1" else ""
        more = {"summary": summary, "categories": ["imaging"] if number < 2 else ["meshes"]}
        await catalogue.add(_new(name, "https://example.org/x", **more, **described(image_bytes(number, 5000))))
    await catalogue.change("b/1", ImageChanges(live=False))
    assert await _names(catalogue) == ["a/10", "a/2", "b/1", "c/1"]
    assert await _names(catalogue, live=True) == ["a/10", "a/2", "c/1"]
    assert await _names(catalogue, q="A/") == ["a/10", "a/2"]
    assert await _names(catalogue, q="0% of it_") == ["c/1"]
    assert await _names(catalogue, q="0%it") == []
    assert await _names(catalogue, category="imaging") == ["a/2", "b/1"]
    first, after = await catalogue.page(ImageFilter(), None, 3)
    rest, end = await catalogue.page(ImageFilter(), after, 3)
    assert [item.name for item in (*first, *rest)] == ["a/10", "a/2", "b/1", "c/1"]
    assert end is None


APPS: dict[str, Any] = {
    "afni": {
        "apps": {
            "afni 21.2.00": {"version": "20210714", "exec": ""},
            "sumaGUI-afni 21.2.00": {"version": "20210714", "exec": "suma --now"},
        },
        "categories": ["functional imaging"],
    },
    "broken": {"apps": {"broken": {"version": "20210714"}, "broken 1": {"version": "today"}, "broken 2": None}},
    "nothing": [],
}
PATTERNS = [{"pattern": "https://one.example/{file}", "region": "eu"}, "https://two.example/{tool}/{file}"]


async def test_a_list_is_taken_over_again_and_again_without_harm_and_a_newer_build_takes_the_name(
    catalogue: ImageCatalogue,
) -> None:
    order = ImportOrder.model_validate({"document": APPS, "mirrors": PATTERNS})
    tried = await catalogue.import_list(order.model_copy(update={"dry_run": True}))
    assert (tried.added, await _names(catalogue)) == (["afni/21.2.00"], [])
    report = await catalogue.import_list(order)
    assert report.added == ["afni/21.2.00"]
    assert sorted(problem.entry for problem in report.problems) == [
        "broken: broken", "broken: broken 1", "broken: broken 2", "nothing",
    ]  # fmt: skip
    found = await catalogue.show("afni/21.2.00")
    assert found.names == ["afni/21.2.00", "afni/21.2.00_20210714"]
    assert (found.commands, found.categories, found.digest) == (["suma"], ["functional imaging"], None)
    assert [(m.url, m.region) for m in found.mirrors] == [
        ("https://one.example/afni_21.2.00_20210714.simg", "eu"),
        ("https://two.example/afni/afni_21.2.00_20210714.simg", None),
    ]
    assert (await catalogue.import_list(order)).unchanged == 1
    newer = {"afni": {"apps": {"afni 21.2.00": {"version": "20220101"}}, "categories": []}}
    report = await catalogue.import_list(ImportOrder.model_validate({"document": newer, "mirrors": PATTERNS}))
    assert report.changed == ["afni/21.2.00"]
    assert (await catalogue.show("afni/21.2.00")).names == ["afni/21.2.00", "afni/21.2.00_20220101"]
    assert not (await catalogue.show("afni/21.2.00_20210714")).live


async def test_a_list_never_takes_a_name_that_was_given_here(catalogue: ImageCatalogue) -> None:
    await catalogue.add(_new("afni/21.2.00", "https://here.example/x", **described(image_bytes(size=5000))))
    report = await catalogue.import_list(ImportOrder.model_validate({"document": APPS}))
    assert report.added == []
    assert "afni/21.2.00" in [problem.entry for problem in report.problems]
    assert (await catalogue.show("afni/21.2.00")).origin == "added"


async def test_what_is_no_such_list_is_refused(catalogue: ImageCatalogue) -> None:
    with Mirror() as mirror:
        for content in (b"<html>", b"[1]", b'{"a": 1}', b"[" * 100_000):
            url = mirror.serve("/apps.json", content)
            with pytest.raises(InvalidRequest):
                await catalogue.import_list(ImportOrder(url=url))


async def test_an_imported_image_is_read_when_a_check_is_to_read_it_whole(catalogue: ImageCatalogue) -> None:
    content = image_bytes(size=5000)
    with Mirror() as mirror:
        mirror.serve("/afni_21.2.00_20210714.simg", content)
        order = ImportOrder.model_validate({"document": APPS, "mirrors": [mirror.url + "/{file}"]})
        await catalogue.import_list(order)
        entry = await catalogue.database.read(lambda c: load(c, "afni/21.2.00"))
        assert entry is not None
        await catalogue.reader.begin(entry.id, "check", full=True)
        found = await settled(catalogue, "afni/21.2.00")
    assert found.digest == described(content)["digest"]
    assert found.names == ["afni/21.2.00", "afni/21.2.00_20210714"]


async def test_a_clean_up_names_and_removes_only_what_is_retired_unpinned_and_unused(
    catalogue: ImageCatalogue,
) -> None:
    for number, name in enumerate(("live/1", "pinned/1", "used/1", "old/1")):
        more = described(image_bytes(number, 5000))
        made = await catalogue.add(_new(name, "https://example.org/x", pinned=name == "pinned/1", **more))
        if name != "live/1":
            await catalogue.change(name, ImageChanges(live=False))
        long_ago = made.created_at.replace(year=2001)
        values = {"used_at": None if name == "used/1" else long_ago}
        await catalogue.database.write(lambda c, i=made.id, v=values: table.update(c, i, **v))  # type: ignore[misc]
    shown = await catalogue.clean(CleanOrder())
    assert [item.name for item in shown.items] == ["old/1"]
    assert len(await _names(catalogue)) == 4
    await catalogue.clean(CleanOrder(dry_run=False))
    assert await _names(catalogue) == ["live/1", "pinned/1", "used/1"]
