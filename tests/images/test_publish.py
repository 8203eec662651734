"""Publishing images: taken from where they are, copied to every mirror, read back, signed, and written down."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from catalogued import settled
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from published_site import NAME, Opened, folder_mirror, image_file, small_image, states

from gateway.db import image_publications as table
from gateway.db.jobs import now
from gateway.errors import LeaseLost
from gateway.images.entry import PIECE
from gateway.images.signatures import signer_of
from gateway.model.image import CheckOrder, NewImage
from gateway.model.image_mirrors import PublishRequest
from gateway.storage.signing import public_key_text
from testbed.mirror import Fault, Mirror


async def test_an_image_is_fetched_once_and_stands_in_every_mirror_which_jobs_then_read(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(*(folder_mirror(name, public, tmp_path, region="north") for name in ("a", "b", "c")))
    content = small_image()
    digest = await site.add(content, public.serve("/origin.sqfs", content))
    found = await site.publish(NAME)
    assert states(found) == {"a": "published", "b": "published", "c": "published"}
    assert public.bytes_sent("/origin.sqfs") == len(content)
    for name, one in found.items():
        assert image_file(tmp_path, name, digest).read_bytes() == content
        assert (one.by, one.problem, one.tries) == ("alice", None, 0)
        assert one.published_at is not None
    mirrors = {mirror.url: mirror for mirror in (await site.entry()).mirrors}
    assert [mirrors[str(found[name].url)].state for name in "abc"] == ["alive"] * 3
    assert mirrors[str(found["a"].url)].region == "north"
    assert not [file for file in (tmp_path / "data/image-copies").iterdir() if file.suffix == ".part"]


async def test_publishing_again_copies_nothing_and_reads_no_image_whose_proof_still_holds(
    opened: Opened, public: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path), folder_mirror("b", public, tmp_path))
    content = small_image()
    digest = await site.add(content, public.serve("/origin.sqfs", content))
    before = await site.publish(NAME)
    stood = image_file(tmp_path, "a", digest).stat()
    sent = public.bytes_sent("/origin.sqfs")
    mirror = site.gateway.image_publishing.mirrors["a"]
    monkeypatch.setattr(mirror, "digest", None)  # whoever reads the whole image fails
    after = await site.publish(NAME)
    assert states(after) == {"a": "published", "b": "published"}
    assert after["a"].published_at == before["a"].published_at
    assert public.bytes_sent("/origin.sqfs") == sent
    assert image_file(tmp_path, "a", digest).stat() == stood


async def test_what_was_lost_or_damaged_in_one_mirror_is_brought_from_another_one(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(*(folder_mirror(name, public, tmp_path) for name in ("a", "b", "c")))
    content = small_image()
    digest = await site.add(content, public.serve("/origin.sqfs", content))
    await site.publish(NAME)
    public.fail("/origin.sqfs", Fault(status=404))
    image_file(tmp_path, "a", digest).unlink()
    image_file(tmp_path, "b", digest).write_bytes(content[:-1] + b"!")
    planned = {line.mirror: (line.action, line.source) for line in await site.plan(NAME)}
    assert planned["a"] == ("copy", "b") or planned["a"] == ("copy", "c")
    assert planned["c"] == ("none", None)
    found = await site.publish(NAME)
    assert states(found) == {"a": "published", "b": "published", "c": "published"}
    assert image_file(tmp_path, "a", digest).read_bytes() == content
    assert image_file(tmp_path, "b", digest).read_bytes() == content


async def test_a_mirror_that_fails_does_not_stop_the_others_and_is_tried_again_later(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(*(folder_mirror(name, public, tmp_path) for name in ("a", "b")))
    (tmp_path / "a").write_text("a file stands where the store's folder should be")
    content = small_image()
    digest = await site.add(content, public.serve("/origin.sqfs", content))
    found = await site.publish(NAME)
    assert states(found) == {"a": "failed", "b": "published"}
    assert found["a"].problem
    assert found["a"].tries == 1
    assert found["a"].next_at is not None
    (tmp_path / "a").unlink()
    await site.carry_out()
    assert states(await site.standing()) == {"a": "failed", "b": "published"}, "its time has not come yet"
    await site.publish(NAME, mirrors=["a"])
    assert states(await site.standing()) == {"a": "published", "b": "published"}
    assert image_file(tmp_path, "a", digest).read_bytes() == content


async def test_sources_that_lie_or_break_off_are_left_for_the_next_one(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path))
    content = small_image(size=PIECE + 50_000)
    urls = [
        public.serve("/gone.sqfs", content, Fault(status=503)),
        public.serve("/short.sqfs", content, Fault(truncate=PIECE // 2)),
        public.serve("/wrong.sqfs", content, Fault(corrupt=True)),
        public.serve("/other.sqfs", content[:-5]),
        public.serve("/good.sqfs", content),
    ]
    digest = await site.add(content, *urls)
    assert states(await site.publish(NAME)) == {"a": "published"}
    assert image_file(tmp_path, "a", digest).read_bytes() == content


async def test_an_image_that_can_be_had_nowhere_says_which_source_failed_and_why(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path))
    content = small_image()
    await site.add(
        content,
        public.serve("/gone.sqfs", content, Fault(status=503)),
        public.serve("/wrong.sqfs", content, Fault(corrupt=True)),
    )
    found = await site.publish(NAME)
    problem = str(found["a"].problem)
    assert "can be had nowhere" in problem
    assert "503" in problem
    assert "/wrong.sqfs: piece 0 of it is not the image's" in problem
    assert not (tmp_path / "a/images").exists() or not list((tmp_path / "a/images").iterdir())


async def test_pieces_that_had_arrived_before_a_kill_are_not_fetched_again(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path))
    content = small_image(size=2 * PIECE + 1000)
    digest = await site.add(content, public.serve("/origin.sqfs", content))
    part = site.gateway.image_publishing.copies.part(digest)
    part.parent.mkdir()
    part.write_bytes(content[:PIECE] + b"half a piece that nobody can vouch for")
    assert states(await site.publish(NAME)) == {"a": "published"}
    assert public.bytes_sent("/origin.sqfs") == len(content) - PIECE


async def test_a_gateway_that_is_stopped_while_it_copies_leaves_the_image_to_the_next_one(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path), folder_mirror("b", public, tmp_path))
    content = small_image()
    digest = await site.add(content, public.serve("/origin.sqfs", content, Fault(stall=1000)))
    await site.gateway.image_publishing.begin(PublishRequest(), "alice")
    loop = asyncio.create_task(site.loop.run())
    async with asyncio.timeout(60):
        while not public.begun("/origin.sqfs"):
            await asyncio.sleep(0.01)
    assert set(states(await site.standing()).values()) == {"working"}
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert set(states(await site.standing()).values()) == {"wanted"}
    public.fail("/origin.sqfs", None)
    await site.carry_out()
    assert set(states(await site.standing()).values()) == {"published"}
    assert image_file(tmp_path, "b", digest).read_bytes() == content


async def test_what_another_process_works_at_is_left_alone_until_it_is_silent_for_too_long(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path), folder_mirror("b", public, tmp_path))
    content = small_image()
    await site.add(content, public.serve("/origin.sqfs", content))
    await site.gateway.image_publishing.begin(PublishRequest(mirrors=("a",)), "alice")
    database, mirrors, at = site.gateway.database, ["a", "b"], now()
    later = at + timedelta(minutes=10)
    first = await database.write(lambda c: table.take(c, "one", mirrors, at, later))
    assert first is not None
    assert first[1] == ["a"]
    await site.gateway.image_publishing.begin(PublishRequest(), "bob")
    assert await database.write(lambda c: table.take(c, "two", mirrors, at, later)) is None, "b is the same image"
    over = later + timedelta(seconds=1)
    second = await database.write(lambda c: table.take(c, "two", mirrors, over, over + timedelta(minutes=10)))
    assert second is not None
    assert second[1] == ["a", "b"]
    assert not await database.write(lambda c: table.keep(c, "one", first[0], later))
    entry = await site.entry()
    with pytest.raises(LeaseLost):
        await database.write(lambda c: site.loop._note(c, entry, "a", {"state": "published"}))
    assert (await site.standing())["a"].state == "working"


async def test_a_file_that_somebody_else_put_under_the_images_name_is_never_overwritten(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    named = {"path": "{tool}_{version}.simg"}
    site = await opened(folder_mirror("a", public, tmp_path, **named), folder_mirror("b", public, tmp_path, **named))
    theirs = tmp_path / "a/images/fsl_6.0.3.simg"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"of somebody else")
    content = small_image()
    await site.add(content, public.serve("/origin.sqfs", content))
    assert [line.action for line in await site.plan(NAME)] == ["refused", "upload"]
    found = await site.publish(NAME)
    assert states(found) == {"a": "failed", "b": "published"}
    assert "this gateway did not put it there" in str(found["a"].problem)
    assert theirs.read_bytes() == b"of somebody else"
    assert (tmp_path / "b/images/fsl_6.0.3.simg").read_bytes() == content
    (tmp_path / "b/images/fsl_6.0.3.simg").write_bytes(b"cut short")
    assert (await site.publish(NAME))["b"].state == "published", "its own file is put right"


async def test_an_image_that_the_world_cannot_read_is_not_called_published(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    section = folder_mirror("a", public, tmp_path)
    site = await opened({**section, "url": f"{public.url}/elsewhere"})
    content = small_image()
    await site.add(content, public.serve("/origin.sqfs", content))
    found = await site.publish(NAME)
    assert found["a"].state == "failed"
    assert "not at its public address" in str(found["a"].problem)
    public.serve_folder("/elsewhere", tmp_path / "a/images")
    again = await site.publish(NAME)
    assert again["a"].state == "published"
    assert public.bytes_sent("/origin.sqfs") == len(content), "what stood in the store was not brought again"


async def test_a_signature_stands_beside_each_image_and_is_one_of_this_image(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    publishing = {"signing_key": {"file": str(file)}}
    site = await opened(folder_mirror("a", public, tmp_path), image_publishing=publishing)
    content = small_image()
    digest = await site.add(content, public.serve("/origin.sqfs", content))
    await site.publish(NAME)
    image = image_file(tmp_path, "a", digest)
    signature = image.with_name(f"{image.name}.sig")
    mine = public_key_text(key.public_key())
    assert signer_of(signature.read_bytes(), digest, [mine]) == mine
    stood = signature.stat().st_mtime_ns
    await site.publish(NAME)
    assert signature.stat().st_mtime_ns == stood
    forged = json.loads(signature.read_bytes())
    forged["image"]["digest"] = "sha256:" + "0" * 64
    signature.write_text(json.dumps(forged))
    with pytest.raises(ValueError, match="another image"):
        signer_of(signature.read_bytes(), digest, [mine])
    catalogue = site.gateway.image_catalogue
    await catalogue.check(NAME, CheckOrder())
    problems = {mirror.url: mirror.problem for mirror in (await settled(catalogue, NAME)).mirrors}
    assert "one of another image" in str(problems[f"{public.url}/a/{image.name}"])
    assert problems[f"{public.url}/origin.sqfs"] is None
    with pytest.raises(ValueError, match="nobody who is trusted"):
        signer_of(signature.read_bytes(), forged["image"]["digest"], [mine])
    await site.publish(NAME)
    assert signer_of(signature.read_bytes(), digest, [mine]) == mine


async def test_no_room_on_the_gateways_disk_is_said_before_anything_is_fetched(
    opened: Opened, public: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path))
    content = small_image()
    await site.add(content, public.serve("/origin.sqfs", content))
    monkeypatch.setattr("gateway.images.obtaining.SPARE", shutil.disk_usage(tmp_path).total)
    found = await site.publish(NAME)
    assert found["a"].state == "failed"
    assert "are free in" in str(found["a"].problem)
    assert public.begun("/origin.sqfs") == 0


async def test_images_that_nobody_read_yet_are_read_first_and_one_without_any_address_is_refused(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path))
    content = small_image()
    order = {"names": [NAME], "mirrors": [public.serve("/origin.sqfs", content)]}
    catalogue = site.gateway.image_catalogue
    added = await catalogue.add(NewImage.model_validate(order))
    assert added.digest is None
    await catalogue.add(NewImage.model_validate({"names": ["old/1"], "sources": ["s3://tools/old.sif"]}))
    await site.publish()
    read, refused = (await site.standing(NAME))["a"], (await site.standing("old/1"))["a"]
    assert read.state == "published"
    assert image_file(tmp_path, "a", str(read.digest)).read_bytes() == content
    assert refused.state == "failed"
    assert "cannot be made from its sources here" in str(refused.problem)


async def test_an_unread_image_that_is_the_same_file_as_another_one_is_published_as_that_one(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path))
    content = small_image()
    url = public.serve("/origin.sqfs", content)
    await site.add(content, url)
    public.fail("/origin.sqfs", Fault(stall=1000))
    order = {"names": ["fsl/latest"], "mirrors": [url]}
    await site.gateway.image_catalogue.add(NewImage.model_validate(order))
    await site.gateway.image_publishing.begin(PublishRequest(images=("fsl/latest",)), "alice")
    public.fail("/origin.sqfs", None)
    await site.carry_out()
    assert states(await site.standing(NAME)) == {"a": "published"}
    assert set((await site.entry()).names) == {NAME, "fsl/latest"}
