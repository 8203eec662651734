"""Publishing to real stores and from a real registry, on a schedule, killed, and configured wrongly."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from oci_layers import Layer
from published_site import NAME, Opened, folder_mirror, image_file, small_image, states

from gateway.errors import ConfigurationError, InvalidRequest
from gateway.images.entry import PIECE
from gateway.jobs.configured import check_configuration
from gateway.model.image import ImageChanges, NewImage
from gateway.model.image_mirrors import PublishRequest
from gateway.settings import parse
from testbed.azurite import Azurite
from testbed.http_proxy import HttpProxy, Mood
from testbed.mirror import Mirror
from testbed.registry import DockerRegistry
from testbed.seaweed import Seaweed

SERVE = """
import asyncio, sys, tomllib
from pathlib import Path
from gateway.app import Gateway
from gateway.engine.publishing import PublishingLoop
from gateway.settings import parse

async def main():
    async with Gateway(parse(tomllib.loads(Path(sys.argv[1]).read_text())), drive=False) as gateway:
        await PublishingLoop(gateway.image_publishing, gateway.bell).run()

asyncio.run(main())
"""


@pytest.mark.real
async def test_a_gateway_that_is_killed_while_it_uploads_leaves_nothing_at_the_final_name_and_the_next_one_goes_on(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path))
    content = small_image(size=3_000_000)
    digest = await site.add(content, public.serve("/origin.sqfs", content))
    await site.gateway.image_publishing.begin(PublishRequest(), "alice")
    config = tmp_path / "gateway.toml"
    url = f"{public.url}/a"
    config.write_text(
        f'[gateway]\ndata = "{tmp_path}/data"\nallow_urls = ["127.0.0.1"]\n'
        f'[stores.a]\nkind = "directory"\npath = "{tmp_path}/a"\n'
        f'[[image_mirrors]]\nname = "a"\nstore = "a"\nurl = "{url}"\n[image_publishing]\nbandwidth = 10000\n'
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVE, str(config))
    folder = tmp_path / "a/images"
    try:
        async with asyncio.timeout(60):
            while not list(folder.glob("*.partial")):
                assert process.returncode is None
                await asyncio.sleep(0.05)
    finally:
        process.kill()
        await process.wait()
    assert not image_file(tmp_path, "a", digest).exists()
    assert states(await site.standing()) == {"a": "working"}
    await site.carry_out()
    assert states(await site.standing()) == {"a": "published"}
    assert [file.name for file in folder.iterdir()] == [image_file(tmp_path, "a", digest).name]
    assert image_file(tmp_path, "a", digest).read_bytes() == content


@pytest.mark.real
async def test_an_image_that_is_nowhere_but_in_a_registry_is_converted_once_and_published(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    with DockerRegistry() as registry:
        layer = Layer().folder("bin").file("bin/tool", "#!/bin/sh\necho tool\n", 0o755).packed()
        pushed = registry.push("tools/fsl", "6", [layer])
        registries = {registry.host: {"plain_http": True}}
        site = await opened(folder_mirror("a", public, tmp_path), registries=registries)
        order = {"names": [NAME], "sources": [f"docker://{registry.host}/tools/fsl:6"], "architecture": "x86_64"}
        await site.gateway.image_catalogue.add(NewImage.model_validate(order))
        found = (await site.publish(NAME))["a"]
        assert found.problem is None
        assert found.state == "published"
        asked = len(registry.requests())
        image_file(tmp_path, "a", str(found.digest)).unlink()
        assert states(await site.publish(NAME)) == {"a": "published"}
        assert len(registry.requests()) == asked, "what was converted is kept"
    entry = await site.entry()
    assert (entry.manifest_digest, len(entry.mirrors)) == (pushed.digest, 1)
    listing = subprocess.run(
        ["unsquashfs", "-l", image_file(tmp_path, "a", str(entry.digest))], check=True, capture_output=True, text=True
    )
    assert "squashfs-root/bin/tool" in listing.stdout


async def test_all_live_images_are_published_on_the_schedule_and_retired_ones_are_not(
    opened: Opened, public: Mirror, tmp_path: Path
) -> None:
    site = await opened(folder_mirror("a", public, tmp_path), image_publishing={"automatic": True})
    for number, name in enumerate(("fsl/6.0.3", "mrtrix3/3.0.1", "old/1")):
        content = small_image(number)
        await site.add(content, public.serve(f"/{number}.sqfs", content), name=name)
    await site.gateway.image_catalogue.change("old/1", ImageChanges(live=False))
    begun = await site.gateway.image_publishing.begin_scheduled()
    assert begun is not None
    assert sorted(begun.images) == ["fsl/6.0.3", "mrtrix3/3.0.1"]
    assert await site.gateway.image_publishing.begin_scheduled() is None, "once a day is enough"
    await site.carry_out()
    page, _ = await site.gateway.image_publishing.page()
    assert {(one.image, one.state, one.by) for one in page.items} == {
        ("fsl/6.0.3", "published", "automatic"),
        ("mrtrix3/3.0.1", "published", "automatic"),
    }


def make_public(azurite: Azurite, container: str) -> None:
    client = BlobServiceClient(azurite.account_url, credential=azurite.key)
    client.create_container(container, public_access="blob")
    client.close()


@pytest.mark.real
async def test_object_stores_get_it_from_the_first_by_rclone_and_inside_of_the_service_where_that_can_copy(
    opened: Opened,
    public: Mirror,
    tmp_path: Path,
    azurite: Azurite,
    seaweed: Seaweed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_ACCOUNT_KEY", azurite.key)
    monkeypatch.setenv("TEST_S3_ID", seaweed.access_key)
    monkeypatch.setenv("TEST_S3_KEY", seaweed.secret_key)
    container, root = f"images-{secrets.token_hex(6)}", secrets.token_hex(6)
    make_public(azurite, container)
    with HttpProxy(int(seaweed.endpoint.rpartition(":")[2])) as proxy:
        s3 = {
            "kind": "rclone",
            "remote": {"type": "s3", "provider": "SeaweedFS", "endpoint": proxy.url},
            "secrets": {"access_key_id": {"env": "TEST_S3_ID"}, "secret_access_key": {"env": "TEST_S3_KEY"}},
        }
        stores = {
            "blobs": {
                "kind": "azure",
                "account_url": azurite.account_url,
                "container": container,
                "credential": {"account_key": {"env": "TEST_ACCOUNT_KEY"}},
            },
            "one": {**s3, "root": f"{seaweed.bucket}/{root}/one"},
            "two": {**s3, "root": f"{seaweed.bucket}/{root}/two"},
        }
        mirrors = [
            {"name": "azure", "store": "blobs", "url": f"{azurite.account_url}/{container}/images/{{path}}"},
            {"name": "s3", "store": "one", "url": f"{seaweed.public_url}/{root}/one/images"},
            {"name": "s3-too", "store": "two", "url": f"{seaweed.public_url}/{root}/two/images"},
        ]
        site = await opened(*mirrors, stores=stores)
        content = small_image(size=PIECE + 1000)
        await site.add(content, public.serve("/origin.sqfs", content))
        first = await site.publish(NAME, mirrors=["s3"])
        assert states(first) == {"s3": "published"}
        sent = proxy.received
        assert sent >= len(content)
        await site.publish(NAME, mirrors=["s3-too"])
        assert proxy.received - sent < 10_000, "the service copied it by itself"
        found = await site.publish(NAME)
    assert states(found) == {"azure": "published", "s3": "published", "s3-too": "published"}
    assert public.bytes_sent("/origin.sqfs") == len(content)


@pytest.mark.real
async def test_a_store_that_fails_now_and_then_has_the_whole_image_in_the_end_or_says_why_not(
    opened: Opened, public: Mirror, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ACCOUNT_KEY", azurite.key)
    container = f"images-{secrets.token_hex(6)}"
    make_public(azurite, container)
    with HttpProxy(azurite.port) as proxy:
        store = {
            "kind": "azure",
            "account_url": f"{proxy.url}/{azurite.account}",
            "container": container,
            "credential": {"account_key": {"env": "TEST_ACCOUNT_KEY"}},
        }
        mirror = {"name": "azure", "store": "blobs", "url": f"{azurite.account_url}/{container}/images"}
        site = await opened(mirror, stores={"blobs": store})
        content = small_image(size=1_000_000)
        await site.add(content, public.serve("/origin.sqfs", content))
        proxy.mood = Mood(status=403, methods=("PUT",), body=b"<Error><Code>AuthorizationFailure</Code></Error>")
        found = await site.publish(NAME)
        assert found["azure"].state == "failed"
        assert azurite.key not in str(found["azure"].problem)
        assert "sig=" not in str(found["azure"].problem).replace("sig=***", "")
        proxy.mood = Mood()
        assert states(await site.publish(NAME)) == {"azure": "published"}


def test_mistakes_in_the_configuration_of_mirrors_are_named(tmp_path: Path) -> None:
    def mistakes(**mirror: Any) -> str:
        raw = {
            "gateway": {"data": str(tmp_path)},
            "stores": {"disk": {"kind": "directory", "path": "/x"}},
            "image_mirrors": [{"name": "a", "store": "disk", "url": "https://mirror.example.org", **mirror}],
        }
        try:
            return str([str(one) for one in check_configuration(parse(raw))])
        except ConfigurationError as error:
            return str([str(one) for one in error.errors])

    assert mistakes() == "[]"
    assert "image_mirrors.0.store" in mistakes(store="tape")
    assert "image_mirrors.0.path" in mistakes(path="{tool}.sif")
    assert "image_mirrors.0.path" in mistakes(path="../{digest}")
    assert "image_mirrors.0.path" in mistakes(path="{digest}{home}")
    assert "image_mirrors.0.url" in mistakes(url="https://me:secret@mirror.example.org")
    assert "image_mirrors.0.folder" in mistakes(folder="/etc")


async def test_a_mirror_that_is_not_configured_cannot_be_asked_for(opened: Opened) -> None:
    site = await opened()
    with pytest.raises(InvalidRequest, match="no mirror is configured"):
        await site.gateway.image_publishing.begin(PublishRequest(), "alice")
