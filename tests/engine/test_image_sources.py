"""Images of registries: tags resolved once, files made once, and what a node then gets."""

from __future__ import annotations

import asyncio
import hashlib
import http.server
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from gateway.db import image_resolutions, jobs
from gateway.db.image_tables import image_mirrors
from gateway.db.image_tables import image_resolutions as resolutions
from gateway.db.image_tables import images as catalogue
from gateway.engine.images import ImageDelivery
from gateway.errors import GatewayError, StagingFailed
from gateway.images.registry import RegistryClient
from gateway.images.registry_images import FOLDER, RegistryImages
from gateway.model.specification import Image, JobSpecification
from gateway.model.states import State
from testbed.registry import DockerRegistry
from tests.images.oci_layers import Layer

LAYERS = [Layer().file("bin/sh", "#!").packed(), Layer().file("etc/tool", "1").packed()]


@pytest.fixture(scope="module")
def registry() -> Iterator[DockerRegistry]:
    with DockerRegistry("basic") as made:
        yield made


@pytest.fixture(scope="module")
def open_registry() -> Iterator[DockerRegistry]:
    with DockerRegistry("none") as made:
        yield made


class Bench:
    """The engine's part that finds images, and jobs that want them."""

    def __init__(self, site: Any, images: ImageDelivery, registries: RegistryImages) -> None:
        self.site, self.images, self.registries = site, images, registries

    @property
    def target(self) -> Any:
        return self.site.gateway.targets["here"]

    async def job(self, image: dict[str, Any] | str, state: State = State.STAGING, **body: Any) -> str:
        """Return a new job in a state before it is sent."""
        job_id = await self.site.submit("true", image=image, **body)

        def begin(connection: Any) -> None:
            jobs.insert_attempt(connection, job_id, 1, f"gw-{job_id[:12]}")
            jobs.change_state(connection, job_id, State.STAGING)

        if state is State.STAGING:
            await self.site.gateway.database.write(begin)
        return str(job_id)

    async def spec(self, job_id: str) -> JobSpecification:
        return JobSpecification.model_validate((await self.site.row(job_id))["spec"])

    async def placed(self, job_id: str) -> Image:
        """Return the job's image as its node gets it, when it is there; raises as staging would."""
        async with asyncio.timeout(60):
            while True:
                row = await self.site.row(job_id)
                image = JobSpecification.model_validate(row["spec"]).image
                if (found := self.images.place(row, self.target, image)) is not None:
                    return found
                await self.site.gateway.bell.wait("here", 0.1)


@pytest.fixture
async def bench(
    open_site: Callable[..., Any],
    registry: DockerRegistry,
    open_registry: DockerRegistry,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Bench]:
    monkeypatch.setattr("gateway.engine.image_sources.DELAYS", (0.05, 0.05))
    (tmp_path / "secret").write_text(registry.password)
    login = {"username": registry.username, "password": {"file": str(tmp_path / "secret")}, "plain_http": True}
    sections = {registry.host: login, open_registry.host: {"plain_http": True}}
    site = await open_site(registries=sections)
    gateway = site.gateway
    registries = gateway.registry_images
    images = ImageDelivery(gateway.images, gateway.database, gateway.bell, site.fast, gateway.data, registries)
    yield Bench(site, images, registries)
    await images.close()


async def test_a_tag_means_what_it_meant_at_submission_also_while_the_job_waits(
    bench: Bench, registry: DockerRegistry
) -> None:
    first = registry.push("tools/moving", "1", LAYERS)
    ref = f"docker://{registry.host}/tools/moving:1"
    waits = await bench.job(ref, State.ACCEPTED)
    await bench.images.sources.look(bench.target, [await bench.site.row(waits)])
    resolved = (await bench.site.wait(waits, lambda row: row["spec"]["image"]["manifest_digest"]))["spec"]["image"]
    assert (resolved["ref"], resolved["manifest_digest"], resolved["digest"]) == (ref, first.digest, None)
    second = registry.push("tools/moving", "1", LAYERS[:1])
    later = await bench.job(ref)
    await bench.images.sources.look(bench.target, [await bench.site.row(job) for job in (waits, later)])
    one, two = await bench.placed(waits), await bench.placed(later)
    assert one.digest != two.digest
    image = (await bench.spec(waits)).image
    assert image is not None
    assert (image.manifest_digest, image.digest) == (first.digest, one.digest)
    other = (await bench.spec(later)).image
    assert other is not None
    assert (other.manifest_digest, other.digest) == (second.digest, two.digest)
    rows = await bench.site.gateway.database.read(lambda c: list(c.execute(select(resolutions)).mappings()))
    known = {(row["reference"], row["manifest_digest"], row["digest"]) for row in rows}
    assert (f"docker://{registry.host}/tools/moving@{first.digest}", first.digest, one.digest) in known
    assert (ref, second.digest, None) in known


async def test_many_jobs_make_one_resolution_one_download_and_one_conversion(
    bench: Bench, registry: DockerRegistry
) -> None:
    registry.push("tools/once", "1", LAYERS)
    before = len(registry.requests())
    ids = [await bench.job(f"docker://{registry.host}/tools/once:1") for _ in range(5)]
    placed = await asyncio.gather(*(bench.placed(job_id) for job_id in ids))
    assert len({image.digest for image in placed}) == 1
    assert placed[0].ref == "built:once"
    assert (bench.site.gateway.data / "built-images" / f"{placed[0].digest[7:]}.sqfs").is_file()
    asked = registry.requests()[before:]
    assert sum("/blobs/" in line for line in asked) == len(LAYERS) + 1, asked
    assert sum("/manifests/1" in line for line in asked) <= 2, asked  # the first one asks for the login
    again = await bench.job(f"docker://{registry.host}/tools/once:1")
    assert (await bench.placed(again)).digest == placed[0].digest
    assert sum("/blobs/" in line for line in registry.requests()[before:]) == len(LAYERS) + 1
    assert not list((bench.site.gateway.data / FOLDER).iterdir())


async def test_a_sif_behind_a_login_is_delivered_and_an_open_one_is_fetched_by_the_node(
    bench: Bench, registry: DockerRegistry, open_registry: DockerRegistry
) -> None:
    sif = b"\0" * 32 + b"SIF_MAGIC\0" + b"x" * 5000
    digest = f"sha256:{hashlib.sha256(sif).hexdigest()}"
    for where in (registry, open_registry):
        where.push_sif("tools/sif", "2", sif)
    private = await bench.placed(await bench.job(f"oras://{registry.host}/tools/sif:2"))
    assert (private.ref, private.digest) == ("built:sif", digest)
    kept = bench.registries.kept(digest)
    assert kept is not None
    assert kept.file.read_bytes() == sif
    kept.file.unlink()
    public = await bench.placed(await bench.job(f"oras://{open_registry.host}/tools/sif:2"))
    assert (public.ref, public.digest) == (f"http://{open_registry.host}/v2/tools/sif/blobs/{digest}", digest)


async def test_what_the_catalogue_has_of_a_manifest_is_not_converted_again(
    bench: Bench, registry: DockerRegistry
) -> None:
    pushed = registry.push("tools/known", "1", LAYERS)
    digest, at = f"sha256:{'7' * 64}", jobs.now()

    def write(connection: Any) -> None:
        values = {"sources": [], "categories": [], "commands": [], "summary": "", "origin": "published"}
        moments = {"created_at": at, "updated_at": at, "pinned": False, "live": True, "size": 10}
        own = {"id": "7", "digest": digest, "manifest_digest": pushed.digest}
        connection.execute(catalogue.insert().values(**values, **moments, **own))
        for position, (host, state) in enumerate((("dead", "dead"), ("second", "unknown"), ("first", "alive"))):
            url = f"https://{host}.example.org/7.sif"
            row = {"image_id": "7", "url": url, "position": position, "state": state}
            connection.execute(image_mirrors.insert().values(**row))

    await bench.site.gateway.database.write(write)
    placed = await bench.placed(await bench.job(f"docker://{registry.host}/tools/known:1"))
    assert placed.digest == digest
    assert (placed.ref, placed.mirrors) == ("https://first.example.org/7.sif", ("https://second.example.org/7.sif",))


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("tools/none:1", "has no such image or tag"),
        ("tools/plain:1", r"no SIF artefact.*write docker://"),
    ],
)
async def test_what_cannot_be_had_fails_the_job_with_the_reason(
    bench: Bench, registry: DockerRegistry, rest: str, words: str
) -> None:
    registry.push("tools/plain", "1", LAYERS)
    with pytest.raises(StagingFailed, match=words):
        await bench.placed(await bench.job(f"oras://{registry.host}/{rest}"))


async def test_a_digest_that_is_not_the_images_is_refused(bench: Bench, registry: DockerRegistry) -> None:
    registry.push("tools/digest", "1", LAYERS)
    registry.push_sif("tools/digest", "sif", b"a sif")
    other = f"sha256:{'5' * 64}"
    for ref in (f"oras://{registry.host}/tools/digest:sif", f"docker://{registry.host}/tools/digest:1"):
        job_id = await bench.job({"ref": ref, "digest": other})
        with pytest.raises(
            StagingFailed, match=f"the job wants {other}.*write docker|the job wants {other}.*write oras"
        ):
            await bench.placed(job_id)


async def test_a_registry_that_is_away_is_waited_for_and_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.engine.image_sources.DELAYS", (0.05,) * 1000)
    with DockerRegistry("none") as registry:
        bench.registries.client._sections[registry.host] = bench.site.gateway.settings.registries[
            next(iter(bench.site.gateway.settings.registries))
        ].model_copy(update={"username": None, "password": None})
        registry.push("tools/away", "1", LAYERS)
        registry.down()
        job_id = await bench.job(f"docker://{registry.host}/tools/away:1")
        waiting = asyncio.create_task(bench.placed(job_id))
        await bench.site.wait(job_id, lambda row: "the image waits" in (row["message"] or ""), 60)
        registry.up()
        assert (await waiting).digest


async def test_a_registry_that_stays_away_fails_the_try_and_is_asked_again_by_the_next(bench: Bench) -> None:
    port = bench.site.gateway.settings.registries
    host = next(iter(port))
    bench.registries.client._sections["127.0.0.1:1"] = port[host].model_copy(
        update={"username": None, "password": None}
    )
    job_id = await bench.job("docker://127.0.0.1:1/tools/away:1")
    for _ in range(2):
        with pytest.raises(GatewayError, match="no connection") as caught:
            await bench.placed(job_id)
        assert caught.value.status == 503


async def test_what_no_job_waits_for_is_stopped(bench: Bench, registry: DockerRegistry) -> None:
    registry.push("tools/stopped", "1", LAYERS)
    job_id = await bench.job(f"docker://{registry.host}/tools/stopped:1")
    row = await bench.site.row(job_id)
    assert bench.images.place(row, bench.target, JobSpecification.model_validate(row["spec"]).image) is None
    bench.images.keep("here", [])
    assert bench.images.sources._under_way == {}
    assert (await bench.placed(job_id)).digest


async def test_a_tag_of_the_library_is_resolved_to_the_very_file(bench: Bench) -> None:
    digest = "ab" * 32
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps({"data": {"hash": f"sha256.{digest}", "size": 7}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        host = f"127.0.0.1:{server.server_address[1]}"
        sections = bench.registries.client._sections
        sections[host] = next(iter(sections.values())).model_copy(update={"username": None, "password": None})
        placed = await bench.placed(await bench.job(f"library://{host}/user/tools/fsl:6"))
        server.shutdown()
        thread.join()
    arch = asked[0].rpartition("=")[2]
    assert asked == [f"/v1/images/user/tools/fsl:6?arch={arch}"]
    where = f"http://{host}/v1/imagefile/user/tools/fsl:sha256.{digest}?arch={arch}"
    assert (placed.ref, placed.digest) == (where, f"sha256:{digest}")


async def test_jobs_name_only_what_can_be_had_and_registries_that_are_for_them(
    bench: Bench, registry: DockerRegistry
) -> None:
    section = bench.site.gateway.settings.registries[registry.host]
    object.__setattr__(section, "people", frozenset({"somebody-else"}))
    for ref, words in {
        f"docker://{registry.host}/tools/a:1": "whose images are not for you",
        "docker://UPPER": "lower case",
        "shub://vsoch/hello": "was closed in 2021",
        "s3://bucket/a.sif": "is not fetched by this gateway",
        "library://a/b/c/d/e": "must be such as library://",
    }.items():
        with pytest.raises(GatewayError, match=words):
            await bench.site.submit("true", image=ref)
    with pytest.raises(GatewayError, match="manifest_digest goes with"):
        await bench.site.submit("true", image={"ref": "/a.sif", "manifest_digest": f"sha256:{'1' * 64}"})


async def test_tools_are_resolved_as_the_image_is(bench: Bench, registry: DockerRegistry) -> None:
    pushed = registry.push("tools/side", "1", LAYERS)
    ref = f"docker://{registry.host}/tools/side:1"
    job_id = await bench.job("/images/own.sif", State.ACCEPTED, tools=[ref])
    await bench.images.sources.look(bench.target, [await bench.site.row(job_id)])
    row = await bench.site.wait(job_id, lambda row: row["spec"]["tools"][0]["manifest_digest"])
    assert row["spec"]["tools"][0]["manifest_digest"] == pushed.digest
    assert image_resolutions.UNSENT == (State.ACCEPTED, State.STAGING)


def test_the_client_is_closed_twice_without_harm() -> None:
    client = RegistryClient({})
    client.close()
    client.close()
